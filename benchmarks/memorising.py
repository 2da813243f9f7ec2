"""Does D learn the training images by heart? What it says of them, of test images and of generated ones.

python benchmarks/memorising.py RUN [--data-dir DIR]: a row for each checkpoint of a run of `linear` or `conv`, as in
docs/quality.md.
"""

import argparse
from pathlib import Path

import torch

from gan_dist import models
from gan_dist.data.batches import to_unit_range
from gan_dist.data.mnist import load_images
from gan_dist.data.order import permutation
from gan_dist.evaluation.drawn import Drawn
from gan_dist.storage.checkpoint import load_into, read_state
from gan_dist.storage.checkpoints import newest_first
from gan_dist.storage.metrics_file import read_rows
from gan_dist.storage.weights import load_generator

NUM = 10_000


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data-dir", default="data")
    options = parser.parse_args()
    rows = read_rows(options.run / "metrics.jsonl")
    distances = {row["step"]: row["eval_frechet_distance"] for row in rows if "eval_frechet_distance" in row}
    print("| epochs | Frechet distance | D's mean logit of training images | of test images | of generated images |")
    print("|---" * 5 + "|")
    for folder in reversed(newest_first(options.run / "checkpoints")):
        state = read_state(folder)
        config = state["config"]
        discriminator = models.load(config["model"]).Discriminator()
        load_into(folder, {"discriminator": dict(discriminator.state_dict())})
        generator = load_generator(folder)
        generate = Drawn(generator, config["latent-dim"], config["seed"], None)
        means = []
        for split in ("train", "test"):
            images = load_images(config["dataset"], options.data_dir, split)[:, None]
            chosen = torch.from_numpy(images[permutation(0, 0, len(images))[:NUM]])
            means.append(discriminator(to_unit_range(chosen)).mean().item())
        means.append(discriminator(generate(range(NUM))).mean().item())
        epochs = state["images_seen"] / len(load_images(config["dataset"], options.data_dir))
        distance = f"{distances[state['step']]:.1f}" if state["step"] in distances else ""
        print(f"| {epochs:.0f} | {distance} | {' | '.join(f'{mean:.2f}' for mean in means)} |", flush=True)


if __name__ == "__main__":
    main()
