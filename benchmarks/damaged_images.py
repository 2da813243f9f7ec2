"""How figures answer to damage: real images, damaged in known ways, against the test images (docs/quality.md).

python benchmarks/damaged_images.py [--dataset mnist] [--data-dir DIR]: half a minute on one CPU core.
"""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_dist.data.batches import to_unit_range
from gan_dist.data.mnist import load_images, load_labels
from gan_dist.data.order import permutation
from gan_dist.evaluation.evaluator import Evaluator

FIGURES = ("frechet_distance", "kernel_distance", "precision", "recall", "coverage", "digit_kl", "duplicates")


def damaged(pixels: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """{what was done: pixels} of uint8 [N, 1, 28, 28]."""
    noise = 25 * torch.randn(pixels.shape, generator=torch.Generator().manual_seed(0))
    means = torch.stack([pixels[labels == each].float().mean(0) for each in range(10)])
    return {
        "as they are": pixels,
        "noise of 25 grey levels": (pixels + noise).clamp(0, 255).byte(),
        "shifted by one pixel": pixels.roll(1, 3),
        "blurred, 3 x 3": F.avg_pool2d(pixels.float(), 3, 1, 1).byte(),
        "without the fours": pixels[labels != 4],
        "half of them, each twice": pixels[: len(pixels) // 2].repeat(2, 1, 1, 1),
        "only the mean of each class": means.repeat(len(pixels) // 10, 1, 1, 1).byte(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--data-dir", default="data")
    options = parser.parse_args()
    torch.set_num_threads(1)
    images, labels = (torch.tensor(load(options.dataset, options.data_dir)) for load in (load_images, load_labels))
    chosen = torch.from_numpy(permutation(0, 0, len(images))[:10_000])
    evaluator = Evaluator(options.dataset, options.data_dir)
    print("| | " + " | ".join(f"`{name}`" for name in FIGURES) + " |")
    print("|---" * (len(FIGURES) + 1) + "|")
    for words, pixels in damaged(images[chosen].unsqueeze(1), labels[chosen]).items():
        evaluator.num = len(pixels)
        figures = evaluator(lambda rows, pixels=pixels: to_unit_range(pixels[rows.start : rows.stop]))  # type: ignore[misc]
        assert figures is not None
        print(f"| {words} | " + " | ".join(f"{figures[name]:.3g}" for name in FIGURES) + " |", flush=True)


if __name__ == "__main__":
    main()
