"""Which images and which noise belong to a step: pure functions of (seed, step, global row).

Nothing here depends on the number of processes, the device or what was drawn before, so any row can be
drawn again on its own. Both come from Philox, a counter-based generator (Salmon et al., "Parallel random
numbers: as easy as 1, 2, 3", SC 2011). Only its raw 64-bit words are used: numpy keeps those the same in
every version, which it does not promise for `permutation` and `standard_normal`.
"""

import math
from collections.abc import Sequence
from enum import IntEnum
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

BLOCK = 1 << 20  # random words held at once; a multiple of 4
LONGEST_TABLE = 1 << 24  # images; the order of more is computed where it is needed, and not held
ROUNDS = 8
GOLDEN_RATIO = (math.sqrt(5) - 1) / 2


class Stream(IntEnum):
    """Independent uses of one seed. The numbers are part of every result: add new ones, change none."""

    ORDER = 0
    NOISE = 1
    SAMPLE = 2
    NETWORKS = 3
    EVALUATION = 4
    STEP = 5
    CLASSES = 6
    MIRROR = 7
    TRUNCATION = 8


def _words(seed: int, stream: Stream, block: int, num_blocks: int) -> NDArray[np.uint64]:
    """Four words of 64 bits for each block of the counter -> [4 * num_blocks]."""
    key = np.array([seed, stream], dtype=np.uint64)
    return np.random.Philox(key=key, counter=block).random_raw(4 * num_blocks)


@lru_cache(maxsize=2)
def permutation(seed: int, epoch: int, num_images: int) -> NDArray[np.intp]:
    """The order of all images in one epoch -> [num_images]."""
    words = _words(seed, Stream.ORDER, epoch << 64, -(-num_images // 4))[:num_images]
    return np.argsort(words, kind="stable")


def images_at(seed: int, epoch: int, places: range, num_images: int) -> NDArray[np.intp]:
    """Which images are at some places of an epoch's order -> [len(places)]."""
    if num_images <= LONGEST_TABLE:
        return permutation(seed, epoch, num_images)[places.start : places.stop]
    return _keyed_permutation(_words(seed, Stream.ORDER, epoch << 64, ROUNDS // 4), np.array(places), num_images)


def _keyed_permutation(keys: NDArray[np.uint64], places: NDArray[np.intp], num: int) -> NDArray[np.intp]:
    """Of the numbers below `num`, evaluated at `places` alone.

    A Feistel network permutes the numbers of an even number of bits (Luby and Rackoff, "How to construct pseudorandom
    permutations from pseudorandom functions", SIAM J. Comput. 1988); a result beyond `num` is permuted again until it
    is not (cycle walking: Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002).
    """
    half = np.uint64(-(-(num - 1).bit_length() // 2))
    mask = (np.uint64(1) << half) - np.uint64(1)
    found = places.astype(np.uint64)
    beyond = np.ones(len(found), dtype=bool)
    while beyond.any():
        left, right = found[beyond] >> half, found[beyond] & mask
        for key in keys:
            left, right = right, left ^ (_mixed(right ^ key) & mask)
        found[beyond] = left << half | right
        beyond &= found >= num
    return found.astype(np.intp)


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of MurmurHash3 (Appleby, 2011): each bit depends on all."""
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        x = (x ^ (x >> np.uint64(33))) * np.uint64(factor)
    return x ^ (x >> np.uint64(33))


def first_of_permutation(seed: int, epoch: int, num_images: int, num: int) -> NDArray[np.intp]:
    """The first `num` of `permutation` -> [num]; holds no more than some millions of numbers at once."""
    words, indices = np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.intp)
    for start in range(0, num_images, BLOCK):
        more = _words(seed, Stream.ORDER, (epoch << 64) + start // 4, BLOCK // 4)[: num_images - start]
        near = np.flatnonzero(more < words[-1]) if len(words) == num else np.arange(len(more))
        words, indices = np.concatenate([words, more[near]]), np.concatenate([indices, near + start])
        order = np.argsort(words, kind="stable")[:num]
        words, indices = words[order], indices[order]
    return indices


def image_indices(seed: int, step: int, batch_size: int, rows: range, num_images: int) -> NDArray[np.intp]:
    """Images of `rows` (a range within the global batch) at step 1, 2, ... -> [len(rows)].

    An epoch is num_images // batch_size steps; the images that fill no whole batch are left out of it.
    """
    epoch, batch = divmod(step - 1, num_images // batch_size)
    start = batch * batch_size
    return images_at(seed, epoch, range(start + rows.start, start + rows.stop), num_images)


def seed_of_networks(seed: int, step: int, process: int) -> int:
    """What torch's generator is set to on one process before step 1, 2, ..., for networks that draw random numbers."""
    return int(_words(seed, Stream.NETWORKS, step << 64 | process, 1)[0] >> 1)


def uniform(seed: int, stream: Stream, starts: Sequence[int], num_rows: int, dim: int) -> Tensor:
    """Rows start, start + 1, ... of a stream, uniform in [0, 1) -> float64 [len(starts), num_rows, dim]."""
    blocks = -(-dim // 4)
    words = np.concatenate([_words(seed, stream, start * blocks, num_rows * blocks) for start in starts])
    # The upper 24 bits, which float32 can hold, so that both types of runs draw the same.
    numbers = torch.from_numpy((words >> np.uint64(40)).astype(np.float64) * 2.0**-24)
    return numbers.view(len(starts), num_rows, 4 * blocks)[..., :dim]


def mirrored(seed: int, starts: Sequence[int], num_rows: int) -> Tensor:
    """Whether real images of rows start, start + 1, ... are flipped, half of all -> bool [len(starts), num_rows]."""
    return uniform(seed, Stream.MIRROR, starts, num_rows, 1)[..., 0] < 0.5


def spread_classes(seed: int, rows: range, frequencies: Tensor) -> Tensor:
    """Labels of `rows` of the images to evaluate, in the shares `frequencies` [num_classes] -> int64 [len(rows)].

    Any number of neighbouring rows has each class within a few of its share. Labels drawn at random do not: how many
    there happen to be of each then counts in every distance. The numbers i * golden ratio, modulo 1, lie as evenly as
    numbers can for all lengths at once (Knuth, "The Art of Computer Programming", volume 3, section 6.4).
    """
    start = uniform(seed, Stream.CLASSES, [0], 1, 1).flatten()
    numbers = (start + torch.arange(rows.start, rows.stop, dtype=torch.float64) * GOLDEN_RATIO) % 1
    return torch.searchsorted(frequencies.double().cumsum(0)[:-1], numbers, right=True)


def classes_in_turn(num: int, num_classes: int) -> tuple[Tensor, ...]:
    """Labels [num] of all classes one after the other, as many of each; none if there are no classes."""
    return (torch.arange(num) * num_classes // num,) if num_classes else ()


def normal(seed: int, stream: Stream, starts: Sequence[int], num_rows: int, dim: int) -> Tensor:
    """Standard normal rows start, start + 1, ... of a stream -> float64 [len(starts), num_rows, dim].

    Box and Muller's transform (1958) of two 32-bit uniforms into two normals: it uses a fixed number of
    words for a row, unlike the faster methods that reject, so that a row has a known place.
    """
    blocks = -(-dim // 8)  # a block of four words makes eight normals
    words = np.concatenate([_words(seed, stream, start * blocks, num_rows * blocks) for start in starts])
    halves = torch.from_numpy(words.view(np.uint32).astype(np.float64)).view(len(starts), num_rows, 4 * blocks, 2)
    radius = halves[..., 0].add(0.5).mul_(2.0**-32).log_().mul_(-2).sqrt_()
    angle = halves[..., 1] * (2 * math.pi * 2.0**-32)
    return torch.cat([radius * angle.cos(), radius * angle.sin()], dim=-1)[..., :dim]
