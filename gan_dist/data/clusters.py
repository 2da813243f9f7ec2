"""Labels for images that have none: which of some clusters each image belongs to."""

import numpy as np
from numpy.typing import NDArray

from gan_dist.data.order import permutation

POOL = 2  # pixels of the height and width that become one number
MOST = 20_000  # images that centres are computed from
ROUNDS = 20


def cluster(images: NDArray[np.uint8], num: int, seed: int) -> NDArray[np.int64]:
    """k-means of images [N, H, W] -> the cluster of each, 0 to num - 1 [N]; all processes and machines get the same.

    Lloyd's algorithm ("Least squares quantization in PCM", 1982) from `num` images drawn by `seed`. Numbers are whole
    and so small that float64 holds each sum exactly: no rounding differs from machine to machine.
    """
    chosen = _pooled(images[np.sort(permutation(seed, 0, len(images))[:MOST])])
    centres = chosen[permutation(seed, 1, len(chosen))[:num]]
    for _ in range(ROUNDS):
        nearest = _nearest(chosen, centres)
        members = np.zeros((num, len(chosen)))
        members[nearest, np.arange(len(chosen))] = 1
        counts = members.sum(1, keepdims=True)
        centres = np.where(counts > 0, np.rint(members @ chosen / np.maximum(counts, 1)), centres)
    parts = np.array_split(images, -(-len(images) // MOST))
    return np.concatenate([_nearest(_pooled(part), centres) for part in parts])


def _pooled(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Sums of square blocks of pixels -> [N, D]; of an odd height or width the last row or column is left out."""
    num, height, width = images.shape
    rows, columns = height // POOL, width // POOL
    squares = images[:, : rows * POOL, : columns * POOL].reshape(num, rows, POOL, columns, POOL)
    return squares.sum(axis=(2, 4), dtype=np.float64).reshape(num, -1)


def _nearest(points: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.int64]:
    distances = np.square(centres).sum(1) - 2 * points @ centres.T  # less what is the same for all centres
    return distances.argmin(axis=1)
