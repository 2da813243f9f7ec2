"""Does D learn the training images by heart? What it says of them, of test images and of generated ones.

python benchmarks/memorising.py RUN [--data-dir DIR]: a row for each checkpoint of a run of `linear`, `conv` or
`dcgan`, as in docs/quality.md. Of a run with classes D is told the right one.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from gan_dist import models
from gan_dist.data.batches import to_unit_range
from gan_dist.data.mnist import load_images, load_labels
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
        if config["clusters"]:
            parser.error(f"{options.run}: its clusters say nothing of test images; name a run without --clusters")
        num_classes = state["arguments"]["num_classes"]
        arguments = models.read_arguments(config["model-args"]) | ({"num_classes": num_classes} if num_classes else {})
        discriminator = models.load(config["model"]).Discriminator(**arguments)
        load_into(folder, {"discriminator": dict(discriminator.state_dict())})
        generator = load_generator(folder)
        frequencies = generator.get_buffer("class_frequencies") if num_classes else None
        generate = Drawn(generator, config["latent-dim"], config["seed"], frequencies)
        means = []
        for split in ("train", "test"):
            images = load_images(config["dataset"], options.data_dir, split)[:, None]
            chosen = permutation(0, 0, len(images))[:NUM]
            real = to_unit_range(torch.from_numpy(images[chosen]))
            classes = torch.from_numpy(load_labels(config["dataset"], options.data_dir, split)[chosen].astype(np.int64))
            means.append(discriminator(real, *[classes] * bool(num_classes)).mean().item())
        rows_of = range(NUM)
        labels = generate.labels(rows_of)
        means.append(discriminator(generate(rows_of), *([] if labels is None else [labels])).mean().item())
        epochs = state["images_seen"] / len(load_images(config["dataset"], options.data_dir))
        distance = f"{distances[state['step']]:.1f}" if state["step"] in distances else ""
        print(f"| {epochs:.0f} | {distance} | {' | '.join(f'{mean:.2f}' for mean in means)} |", flush=True)


if __name__ == "__main__":
    main()
