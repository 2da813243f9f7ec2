"""Labels for images that have none: which of some clusters each image belongs to."""

import numpy as np
from numpy.typing import NDArray

from gan_dist.data.order import permutation

CELLS = 14  # along the smaller side, about: what images are compared in; a cell has 2 x 2 pixels or more
MOST = 20_000  # images that centres are computed from
ROUNDS = 20


def cluster(images: NDArray[np.uint8], num: int, seed: int) -> NDArray[np.int64]:
    """k-means of images [N, C, H, W] -> the cluster of each, 0 to num - 1 [N]; all processes and machines get the same.

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
    """Sums of square cells of pixels -> [N, D]; rows and columns that fill no cell are left out."""
    num, channels, height, width = images.shape
    size = max(2, min(height, width) // CELLS)
    rows, columns = height // size, width // size
    cells = images[:, :, : rows * size, : columns * size].reshape(num, channels, rows, size, columns, size)
    return cells.sum(axis=(3, 5), dtype=np.float64).reshape(num, -1)


def _nearest(points: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.int64]:
    distances = np.square(centres).sum(1) - 2 * points @ centres.T  # less what is the same for all centres
    return distances.argmin(axis=1)
