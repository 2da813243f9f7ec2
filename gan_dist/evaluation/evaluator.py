"""Measures a generator: the same figures from one process and from many."""

import logging
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from gan_dist.data.mnist import MissingError, load_images
from gan_dist.data.order import permutation
from gan_dist.errors import UserError, reason
from gan_dist.evaluation import LEAST_IMAGES
from gan_dist.evaluation.features import CHUNK, IMAGE_SHAPE, Extractor, extract, load_extractor
from gan_dist.evaluation.figures import Reference, floor_without_network, measure, measure_without_network, pairs_of
from gan_dist.evaluation.sliced import LEAST_SIZE

logger = logging.getLogger(__name__)

MOST_REAL = 10_000  # real images that single images are compared with
NO_EXTRACTOR = "none: sliced Wasserstein distance"


class Evaluator:
    """Figures of `num` images of a generator against the real images of a split of `dataset`.

    real: the images, uint8 [M, C, H, W], of a data set that is none of the known ones; `split` is what to call them.
    The images are cut into chunks, whatever the number of processes, and process p generates chunks p, p + n, ...;
    process 0 alone knows real images and measures. `gather` puts what all processes have [M, ...] one after the other
    [n * M, ...] on each of them; without it torch.distributed does.
    Where real images are not on the machine and cannot be downloaded, figures that need each of them are left out; a
    data set without an extractor has only such figures.
    Raises UserError, on process 0 alone if it is about files.
    """

    def __init__(
        self,
        dataset: str,
        data_dir: str,
        *,
        real: NDArray[np.uint8] | None = None,
        num: int = 10_000,
        split: str = "test",
        process_index: int = 0,
        num_processes: int = 1,
        device: torch.device | str = "cpu",
        gather: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        if num < LEAST_IMAGES:
            raise UserError(f"{num} images are too few to measure; take at least {LEAST_IMAGES}")
        self.num, self.device = num, torch.device(device)
        self._process, self._num_processes = process_index, num_processes
        self._gather = gather or (_all_gather if num_processes > 1 else lambda mine: mine)
        self.image_shape = IMAGE_SHAPE if real is None else real.shape[1:]
        if min(self.image_shape[1:]) < LEAST_SIZE:
            height, width = self.image_shape[1:]
            words = (
                f"images of {height} x {width} pixels are too small to measure, which takes {LEAST_SIZE} x {LEAST_SIZE}"
            )
            raise UserError(f"{words}; train with --eval-every 0")
        self._extractor = load_extractor(dataset) if real is None else None
        self.description = describe(dataset, split, num, self._extractor)
        if process_index == 0:
            self._real_pixels = self._some(real) if real is not None else self._load_real(dataset, data_dir, split)

    def _load_real(self, dataset: str, data_dir: str, split: str) -> Tensor | None:
        try:
            return self._some(load_images(dataset, data_dir, split)[:, None])
        except MissingError as error:
            if self._extractor is None:
                raise
            logger.warning("kernel_distance, precision, recall, density and coverage are left out: %s", reason(error))
            return None

    def _some(self, images: NDArray[np.uint8]) -> Tensor:
        return torch.from_numpy(images[permutation(0, 0, len(images))[:MOST_REAL]]).to(self.device)

    @cached_property
    def _real(self) -> Reference:
        """Computed with the first images to measure, so that training does not start a second later."""
        assert self._extractor is not None
        self._extractor.network.to(self.device)
        known = self._extractor.splits[self.description["split"]]
        pairs = None
        if self._real_pixels is not None:
            pairs = pairs_of(extract(self._extractor.network, self._real_pixels)[0])
        return Reference(known.moments.to(self.device), known.shares.to(self.device), pairs)

    def __call__(self, generate: Callable[[range], Tensor], labels: Tensor | None = None) -> dict[str, float] | None:
        """The figures on process 0, None on the others.

        generate: rows of all `num` images -> those images [len(rows), C, H, W] in [-1, 1]; networks are to be in
        eval mode. labels: which class each image was asked to be, int64 [num]. Called on all processes at once.
        """
        pixels = self._collect(generate)
        if pixels is None:
            return None
        if self._extractor is None:
            assert self._real_pixels is not None
            self.description["floor"] = self.description["floor"] or floor_without_network(self._real_pixels)
            return measure_without_network(self._real_pixels, pixels)
        real = self._real
        features, classes = extract(self._extractor.network, pixels)
        return measure(real, pixels, features, classes, None if labels is None else labels.to(self.device))

    @torch.no_grad()
    def _collect(self, generate: Callable[[range], Tensor]) -> Tensor | None:
        """All images in the order of their rows, as bytes [num, C, H, W], on process 0."""
        chunks = [range(start, min(start + CHUNK, self.num)) for start in range(0, self.num, CHUNK)]
        slots = -(-len(chunks) // self._num_processes)
        mine = torch.zeros(slots, CHUNK, *self.image_shape, dtype=torch.uint8, device=self.device)
        for slot, rows in enumerate(chunks[self._process :: self._num_processes]):
            mine[slot, : len(rows)] = to_pixels(generate(rows))
        gathered = self._gather(mine)
        if self._process:
            return None
        # Chunk c was made by process c % n as its chunk c // n.
        return gathered.unflatten(0, (self._num_processes, slots)).transpose(0, 1).flatten(0, 2)[: self.num]


def to_pixels(images: Tensor) -> Tensor:
    """[N, C, H, W] in [-1, 1] -> uint8, as a PNG file would have them; what is not a number is black."""
    return images.float().nan_to_num(nan=-1).add(1).mul(127.5).round().clamp(0, 255).byte()


def _all_gather(mine: Tensor) -> Tensor:
    parts = [torch.empty_like(mine) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, mine)
    return torch.cat(parts)


def describe(dataset: str, split: str, num: int, extractor: Extractor | None) -> dict[str, Any]:
    """What figures depend on, and the floor: those of real images."""
    return {
        "dataset": dataset,
        "split": split,
        "num": num,
        "extractor": extractor.name if extractor else NO_EXTRACTOR,
        "sha256": extractor.sha256 if extractor else None,
        "floor": extractor.splits[split].floor if extractor else {},
    }
