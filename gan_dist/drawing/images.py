"""Images of a generator by their number: image i of a seed is the same, whatever else is drawn."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from gan_dist.data.order import Stream, normal, seed_of_networks, spread_classes, uniform
from gan_dist.errors import UserError
from gan_dist.models._behaviour import looking
from gan_dist.tracking.pictures import as_grid, to_bytes

# Images in one forward, always: a sum of floating-point numbers may be rounded differently in a batch of another size.
# 32 because a CPU draws about as many images a second with it as with any other number, `conv` and `linear` too.
CHUNK = 32
PART = 8 * CHUNK  # images that are held at once where they are written one by one


class Drawing:
    """`Drawing(load_generator("runs/NAME"), seed=7)(range(64))` -> uint8 [64, H, W, C], C 1 or 3.

    Without `digit` classes take turns, image 0 is of class 0; clusters come as often as in training. truncation:
    numbers of the noise beyond it, in absolute value, are drawn anew (Brock et al., "Large scale GAN training for high
    fidelity natural image synthesis", ICLR 2019). Raises UserError for a digit that the generator does not have.
    """

    def __init__(
        self, generator: nn.Module, seed: int = 0, digit: int | None = None, truncation: float | None = None
    ) -> None:
        self.generator, self.seed, self.digit, self.truncation = generator, seed, digit, truncation
        self.num_classes: int = generator.num_classes  # type: ignore[assignment]
        if digit is not None and not self.num_classes:
            raise UserError(f"--digit {digit}: this generator takes no labels; leave it out, or train --conditional")
        if digit is not None and not 0 <= digit < self.num_classes:
            raise UserError(f"--digit {digit}: this generator has the classes 0 to {self.num_classes - 1}")
        self._frequencies = getattr(generator, "class_frequencies", None) if generator.has_clusters else None

    def labels(self, rows: range) -> Tensor | None:
        """Of some images: int64 [len(rows)]; None of a generator without labels."""
        if not self.num_classes:
            return None
        if self.digit is not None:
            return torch.full((len(rows),), self.digit)
        if self._frequencies is not None:
            return spread_classes(self.seed, rows, self._frequencies)
        return torch.arange(rows.start, rows.stop) % self.num_classes

    def noise(self, rows: range, stop: int = 0) -> Tensor:
        """Of some images -> float64 [len(rows), latent_dim]; stop: of the images that a walk from them comes to."""
        place = [(stop << 64) + rows.start], len(rows), self.generator.latent_dim
        (noise,) = normal(self.seed, Stream.SAMPLE, *place)  # type: ignore[arg-type]
        if self.truncation is None:
            return noise
        (numbers,) = uniform(self.seed, Stream.TRUNCATION, *place)  # type: ignore[arg-type]
        return noise.where(noise.abs() <= self.truncation, _truncated_normal(numbers, self.truncation))

    def __call__(self, rows: range, noise: Callable[[range], Tensor] | None = None) -> NDArray[np.uint8]:
        """Images of these numbers -> uint8 [len(rows), H, W, C]. noise: a function to take in place of `noise`."""
        whole = range(rows.start // CHUNK * CHUNK, -(-rows.stop // CHUNK) * CHUNK)
        labels = self.labels(whole)
        inputs = (noise or self.noise)(whole).float(), *(() if labels is None else (labels,))
        chunks = []
        with looking(self.generator):
            for start, *chunk in zip(whole[::CHUNK], *(each.split(CHUNK) for each in inputs), strict=True):
                torch.manual_seed(seed_of_networks(self.seed, start, 0))  # a network may draw numbers of its own
                chunks.append(to_bytes(self.generator(*chunk)))
        return np.concatenate(chunks)[rows.start - whole.start : rows.stop - whole.start]

    def parts(self, num: int) -> Iterator[NDArray[np.uint8]]:
        """Images 0 to `num` - 1, some hundreds at a time."""
        for start in range(0, num, PART):
            yield self(range(start, min(start + PART, num)))

    def picture(self, num: int) -> Image.Image:
        """Images 0 to `num` - 1 as one grid, class by class."""
        return as_grid(self(range(num))[self.by_class(num)])

    def by_class(self, num: int) -> NDArray[np.intp]:
        """The numbers 0 to `num` - 1 in the order of the classes of these images, for a picture of them -> [num]."""
        labels = self.labels(range(num))
        return np.arange(num) if labels is None else labels.numpy().argsort(kind="stable")


def _truncated_normal(numbers: Tensor, truncation: float) -> Tensor:
    """Uniform numbers in [0, 1) -> normal ones up to `truncation`: as if each were drawn until it is not beyond."""
    least = torch.special.ndtr(torch.tensor(-truncation, dtype=torch.float64))
    return torch.special.ndtri(least + numbers * (1 - 2 * least)).clamp(-truncation, truncation)
