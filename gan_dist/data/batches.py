"""Batches of this process: images and noise of a step, prepared ahead by a thread and copied to the device."""

import contextlib
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor

from gan_dist.adversarial.step import DRAWS_OF_A_STEP, Batch
from gan_dist.data.order import Stream, image_indices, images_at, mirrored, normal, uniform
from gan_dist.errors import UserError

# Rows made at once. For small batches most of the cost is that of a call and not of a row: with chunks of 512 rows
# the input of batch 64 costs half of what it costs one step at a time.
CHUNK_ROWS = 512


class _Chunk(NamedTuple):
    """Images [steps, N, C, H, W] and noise [steps, N, latent_dim] of some steps."""

    number: int
    real: Tensor
    noise: Tensor
    labels: tuple[Tensor, ...]  # [steps, N]
    uniform: Tensor | None  # [steps, N, DRAWS_OF_A_STEP]
    copied: torch.cuda.Event | None  # on a GPU: reached once both have arrived


class Batches:
    """Rows of the global batches that belong to one process.

    images: uint8 [num_images, C, H, W]; with `on_device` they lie on the device from the start, and no batch is copied.
    labels: int64 [num_images], if the networks take any. batch_size: of all processes together; accumulate: parts that
    a step cuts it into. draws: whether the step needs uniform numbers. mirror: whether to flip each image left-right
    with probability 1/2. Processes have as many rows as each other, or one more. Raises UserError if the images fill no
    batch, if its parts are not equal, or if a process has no row of them.
    """

    def __init__(
        self,
        images: NDArray[np.uint8],
        accelerator: Accelerator,
        *,
        batch_size: int,
        latent_dim: int,
        seed: int,
        dtype: torch.dtype = torch.float32,
        accumulate: int = 1,
        on_device: bool = False,
        labels: Tensor | None = None,
        draws: bool = False,
        mirror: bool = False,
    ) -> None:
        self.images, self.labels, self.seed, self.draws, self.mirror = images, labels, seed, draws, mirror
        self.batch_size, self.latent_dim = batch_size, latent_dim
        if self.batch_size > len(images):
            raise UserError(f"--batch-size {self.batch_size}: the data set has only {len(images)} images")
        if self.batch_size % accumulate:
            raise UserError(f"--accumulate {accumulate}: --batch-size {self.batch_size} is no multiple of it")
        self.steps_per_epoch = len(images) // self.batch_size
        # With accumulation the parts of all processes together are the rows of a whole part, one after the other, so
        # that a BatchNorm sees the same rows whatever the number of processes.
        whole, processes, process = self.batch_size // accumulate, accelerator.num_processes, accelerator.process_index
        if processes > whole:
            raise UserError(f"--batch-size {self.batch_size}: {processes} processes, but each part has {whole} images")
        first, end = (-(-whole * number // processes) for number in (process, process + 1))
        self.part_rows = end - first
        # Means over processes are means over rows if each process counts as much as its rows.
        self.weight = self.part_rows * processes / whole
        self.parts = [range(start, start + self.part_rows) for start in range(first, self.batch_size, whole)]
        self.device, self.dtype = accelerator.device, dtype

        self._all_pixels = None
        if on_device:
            self._all_pixels = torch.tensor(images, device=self.device)
        self._chunk_steps = max(1, CHUNK_ROWS // (self.part_rows * accumulate))
        self._stream = torch.cuda.Stream(self.device) if self.device.type == "cuda" else None
        # A new thread is on GPU 0, and a process that touches it there holds some 100 MB of it for good.
        to_own_gpu = partial(torch.cuda.set_device, self.device) if self._stream else None
        self._thread = ThreadPoolExecutor(1, "batches", to_own_gpu)
        self._ahead: dict[int, Future[_Chunk]] = {}  # the chunk after the current one, by number
        self._chunk: _Chunk | None = None
        self._waited = 0.0

    def blank(self) -> Batch:
        """Zeros in the shapes of one part of a batch."""
        shapes = (self.part_rows, *self.images.shape[1:]), (self.part_rows, self.latent_dim)
        real, noise = (torch.zeros(shape, device=self.device, dtype=self.dtype) for shape in shapes)
        no_labels = torch.zeros(self.part_rows, dtype=torch.int64, device=self.device)
        draws = torch.zeros(self.part_rows, DRAWS_OF_A_STEP, device=self.device, dtype=self.dtype)
        labels = () if self.labels is None else (no_labels,)
        return Batch(real, noise, labels, draws if self.draws else None, self.weight)

    def take_wait(self) -> float:
        """Seconds spent waiting for batches since the last call of this method."""
        waited, self._waited = self._waited, 0.0
        return waited

    def __call__(self, step: int) -> Batch:
        """The batch of step 1, 2, ..."""
        number, place = divmod(step - 1, self._chunk_steps)
        if self._chunk is None or self._chunk.number != number:
            start = time.perf_counter()
            self._chunk = self._take(number)
            self._waited += time.perf_counter() - start
        _, real, noise, labels, uniform, _ = self._chunk
        rows = None if uniform is None else uniform[place]
        return Batch(real[place], noise[place], tuple(each[place] for each in labels), rows, self.weight)

    def _take(self, number: int) -> _Chunk:
        """A chunk, and a word to the thread that the one after it comes next."""
        chunk = (self._ahead.get(number) or self._thread.submit(self._make, number)).result()
        self._ahead = {number + 1: self._thread.submit(self._make, number + 1)}
        if chunk.copied:
            steps_stream = torch.cuda.current_stream()
            steps_stream.wait_event(chunk.copied)
            for tensor in (chunk.real, chunk.noise, *chunk.labels, chunk.uniform):
                if tensor is not None:
                    tensor.record_stream(steps_stream)  # its memory is not free before the steps are through
        return chunk

    def _make(self, number: int) -> _Chunk:
        steps = range(number * self._chunk_steps + 1, (number + 1) * self._chunk_steps + 1)
        num_images = len(self.images)
        indices = np.concatenate(
            [image_indices(self.seed, step, self.batch_size, part, num_images) for step in steps for part in self.parts]
        )
        first_rows = [(step - 1) * self.batch_size + part.start for step in steps for part in self.parts]
        noise = normal(self.seed, Stream.NOISE, first_rows, self.part_rows, self.latent_dim).to(self.dtype)
        draws = None
        if self.draws:
            draws = uniform(self.seed, Stream.STEP, first_rows, self.part_rows, DRAWS_OF_A_STEP).to(self.dtype)
        # Not torch.cuda.stream(None): on a Mac it asks MPS for what MPS does not have.
        with torch.cuda.stream(self._stream) if self._stream else contextlib.nullcontext():
            if self._all_pixels is None:
                pixels = self._to_device(torch.from_numpy(self.images[indices]))
            else:
                pixels = self._all_pixels[self._to_device(torch.from_numpy(indices))]
            if self.mirror:
                flipped = self._to_device(mirrored(self.seed, first_rows, self.part_rows)).view(-1, 1, 1, 1)
                pixels = torch.where(flipped, pixels.flip(-1), pixels)
            # One byte a pixel goes to the device and becomes a number there.
            real = to_unit_range(pixels, self.dtype).unflatten(0, (len(steps), -1))
            noise = self._to_device(noise).view(len(steps), -1, self.latent_dim)
            numbers = None if draws is None else self._to_device(draws).view(len(steps), -1, DRAWS_OF_A_STEP)
            labels = () if self.labels is None else (self._to_device(self.labels[indices]).view(len(steps), -1),)
            return _Chunk(number, real, noise, labels, numbers, self._stream.record_event() if self._stream else None)

    def _to_device(self, tensor: Tensor) -> Tensor:
        if self._stream is None:
            return tensor.to(self.device)
        return tensor.pin_memory().to(self.device, non_blocking=True)  # only from pinned memory nobody waits for it

    def first_images(self, num: int) -> Tensor:
        """The first images of the first epoch -> uint8 [num, C, H, W], or all if there are fewer."""
        places = range(min(num, len(self.images)))
        return torch.from_numpy(self.images[images_at(self.seed, 0, places, len(self.images))])


def to_unit_range(pixels: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """uint8 [N, C, H, W] -> the same shape in [-1, 1]."""
    return pixels.to(dtype).div_(127.5).sub_(1)
