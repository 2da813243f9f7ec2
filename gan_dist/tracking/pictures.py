"""Pictures in the run folder: grids of images, and the samples as they grew."""

import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from gan_dist.data.order import Stream, classes_in_turn, normal

MAX_FRAMES = 60


@torch.no_grad()
def draw(generator: nn.Module, num: int, seed: int, label: int | None = None) -> Tensor:
    """Images [num, C, H, W] of a generator that `load_generator` gave: of one label, or of all in turn."""
    (noise,) = normal(seed, Stream.SAMPLE, [0], num, generator.latent_dim).float()  # type: ignore[arg-type]
    labels = classes_in_turn(num, generator.num_classes)  # type: ignore[arg-type]
    if label is not None:
        labels = (torch.full((num,), label),)
    images: Tensor = generator(noise, *labels)
    return images


def save_grid(images: Tensor, file: Path) -> None:
    """Write images [N, C, H, W] in [-1, 1], C 1 or 3, as one PNG, grey or RGB, row by row in a nearly square grid."""
    num, channels, height, width = images.shape
    columns = math.ceil(math.sqrt(num))
    rows = math.ceil(num / columns)
    pixels = images.detach().add(1).mul(127.5).round().clamp(0, 255).byte().cpu().numpy()
    cells = np.zeros((rows * columns, channels, height + 2, width + 2), dtype=np.uint8)
    cells[:num, :, 1:-1, 1:-1] = pixels
    grid = cells.reshape(rows, columns, channels, height + 2, width + 2).transpose(0, 3, 1, 4, 2)
    picture = grid.reshape(rows * (height + 2), columns * (width + 2), channels)
    Image.fromarray(picture if channels == 3 else picture[..., 0]).save(file)


def save_growth(pictures: Path, file: Path) -> bool:
    """Write the samples of a run, fake_*.png in a folder, as one moving GIF -> whether there are two or more.

    All steps but of many a part, evenly chosen; the last stays for two seconds.
    """
    steps = sorted(pictures.glob("fake_*.png"))
    if len(steps) < 2:
        return False
    num = min(len(steps), MAX_FRAMES)
    chosen = [steps[i * (len(steps) - 1) // (num - 1)] for i in range(num)]
    first, *rest = [Image.open(step) for step in chosen]
    times = [max(50, 4000 // num)] * (num - 1) + [2000]
    first.save(file, save_all=True, append_images=rest, duration=times, loop=0)
    return True
