"""How much faster a run is than scripts written the usual way: `python benchmarks/versus.py [--data-dir DIR]`.

`usual` is the article's procedure: torchvision's transforms of PIL images in a DataLoader, a forward of D for real and
another for generated images, G's update through a D that takes gradients, .item() in each step, Adam as it comes.
`accelerate` is the same with everything prepared as Accelerate's documentation says. Both have the networks of
gan_dist/models, in torch's default memory format. Each kind has a process of its own, with OMP_NUM_THREADS as it is
set; they compute in turns, and a ratio is that of neighbouring blocks.
"""

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from benchmarks.steps import Steps
from benchmarks.world_size import digits
from gan_dist import models
from gan_dist.config.resolve import parse
from gan_dist.data.dataset import load_dataset

KINDS = ("usual", "accelerate", "gan_dist")
LATENT_DIM = 100


class Digits(Dataset[Tensor]):
    """What torchvision's MNIST does with an image."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self.images = images
        self.transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(0.5, 0.5)])

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self.transform(Image.fromarray(self.images[index, 0]))


class UsualSteps:
    """A loop as it stands in many tutorials."""

    def __init__(self, recipe: str, prepared: bool, *data: str) -> None:
        self.accelerator = Accelerator(cpu=True) if prepared else None
        networks = models.load(recipe)
        generator, discriminator = (
            network.to(memory_format=torch.contiguous_format)
            for network in (networks.Generator(LATENT_DIM), networks.Discriminator())
        )
        loader = DataLoader(self._digits(*data), batch_size=64, shuffle=True, drop_last=True)
        optimizers = [
            torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))
            for network in (generator, discriminator)
        ]
        everything = (generator, discriminator, *optimizers, loader)
        if self.accelerator:
            everything = self.accelerator.prepare(*everything)
        self.generator, self.discriminator, self.optimizer_g, self.optimizer_d, self.loader = everything
        self.loss = nn.BCEWithLogitsLoss()
        self.images = self._forever()

    def run(self, num: int) -> float:
        """Train `num` steps -> seconds."""
        start = time.perf_counter()
        for _ in range(num):
            real = next(self.images)
            ones, zeros = torch.ones(len(real)), torch.zeros(len(real))
            self.optimizer_d.zero_grad()
            loss_real = self.loss(self.discriminator(real), ones)
            fake = self.generator(torch.randn(len(real), LATENT_DIM))
            loss_d = loss_real + self.loss(self.discriminator(fake.detach()), zeros)
            self._backward(loss_d)
            self.optimizer_d.step()

            self.optimizer_g.zero_grad()
            loss_g = self.loss(self.discriminator(fake), ones)
            self._backward(loss_g)
            self.optimizer_g.step()
            loss_d.item(), loss_g.item()
        return time.perf_counter() - start

    def _backward(self, loss: Tensor) -> None:
        if self.accelerator:
            self.accelerator.backward(loss)
        else:
            loss.backward()

    def _forever(self) -> Iterator[Tensor]:
        while True:
            yield from self.loader

    @staticmethod
    def _digits(*data: str) -> Digits:
        options = parse(data).data
        return Digits(load_dataset(options.dataset, options.data_dir).images)


def serve(kind: str, recipe: str, data: list[str], pipe: Connection) -> None:
    """In a process of its own: train as many steps as the pipe asks for, and answer how long they took."""
    steps = Steps(*data, "--recipe", recipe) if kind == "gan_dist" else UsualSteps(recipe, kind == "accelerate", *data)
    while num := pipe.recv():
        pipe.send(steps.run(num))


def start(kind: str, recipe: str, data: list[str]) -> Callable[[int], float]:
    """Start a process of this kind -> what has it train some steps (0: ends it) and gives the seconds of each."""
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    context.Process(target=serve, args=(kind, recipe, data, theirs), daemon=True).start()

    def run(num: int) -> float:
        ours.send(num)
        return ours.recv() / num if num else 0.0

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", default="data")
    parser.add_argument("--recipes", nargs="+", default=["linear", "conv"])
    parser.add_argument("--seconds", type=float, default=3, help="length of a block, about [%(default)s]")
    parser.add_argument("--blocks", type=int, default=15)
    options = parser.parse_args()
    print("| recipe | " + " | ".join(f"{kind}, ms a step" for kind in KINDS) + " | usual / ours | accelerate / ours |")
    print("|---" * (len(KINDS) + 3) + "|")
    for recipe in options.recipes:
        runs = [start(kind, recipe, digits(options.data_dir)) for kind in KINDS]
        nums = [max(1, round(options.seconds / max(run(3), run(3)))) for run in runs]
        blocks = [[run(num) for run, num in zip(runs, nums, strict=True)] for _ in range(options.blocks)]
        medians = [f"{statistics.median(kind) * 1e3:.2f}" for kind in zip(*blocks, strict=True)]
        ratios = [sorted(block[kind] / block[-1] for block in blocks) for kind in range(len(KINDS) - 1)]
        cells = [f"{statistics.median(each):.2f} ({each[0]:.2f} to {each[-1]:.2f})" for each in ratios]
        print(f"| {recipe} | {' | '.join(medians + cells)} |", flush=True)
        for run in runs:
            run(0)
    print(
        f"\n{torch.get_num_threads()} threads, batch 64, {options.blocks} blocks; in brackets least and greatest ratio"
    )


if __name__ == "__main__":
    main()
