"""Figures from nearest neighbours: is each generated image near real ones, and each real one near generated ones?

All distances are computed in blocks of matrix products, in float32: only which of two is larger counts.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

BLOCK = 500  # rows whose distances to all others are held at once
PRECISION_K, COVERAGE_K = 3, 5  # as in the papers


class Neighbours(NamedTuple):
    """Features [N, D]; of each the squared distance to its k-th nearest other one [N] and the nearest one [N]."""

    features: Tensor
    third: Tensor
    fifth: Tensor
    nearest: Tensor


def distance_blocks(one: Tensor, other: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Squared distances of rows of `one` [N, D] to all of `other` [M, D] -> (rows, [len(rows), M]), block by block."""
    norms = other.square().sum(1)
    for start in range(0, len(one), BLOCK):
        rows = slice(start, min(start + BLOCK, len(one)))
        block = one[rows]
        yield rows, torch.addmm(norms, block, other.T, alpha=-2).add_(block.square().sum(1, keepdim=True))


def find_neighbours(features: Tensor) -> Neighbours:
    """Neighbours within one set of features [N, D]; N must be above 5."""
    features = features.float()
    third, fifth, nearest = [], [], []
    for rows, distances in distance_blocks(features, features):
        distances[:, rows].fill_diagonal_(torch.inf)  # itself
        values, indices = distances.topk(COVERAGE_K, largest=False)
        third.append(values[:, PRECISION_K - 1])
        fifth.append(values[:, COVERAGE_K - 1])
        nearest.append(indices[:, 0])
    return Neighbours(features, torch.cat(third), torch.cat(fifth), torch.cat(nearest))


def compare(real: Neighbours, generated: Neighbours) -> dict[str, float]:
    """Precision and recall (Kynkaanniemi et al. 2019), density and coverage (Naeem et al. 2020).

    precision: share of generated images that lie within the distance of some real image to its third neighbour;
    recall: the same the other way round; density: in how many real images' distances to the fifth neighbour a
    generated one lies, over 5; coverage: share of real images with a generated one within that distance.
    """
    precise = inside = 0
    recalled = torch.zeros_like(real.third, dtype=torch.bool)
    closest = torch.full_like(real.fifth, torch.inf)
    for rows, distances in distance_blocks(generated.features, real.features):
        precise += int((distances <= real.third).any(1).sum())
        inside += int((distances <= real.fifth).count_nonzero())  # sum() takes eight times as long
        recalled |= (distances <= generated.third[rows].unsqueeze(1)).any(0)
        closest = torch.minimum(closest, distances.amin(0))
    num = len(generated.features)
    return {
        "precision": precise / num,
        "recall": recalled.double().mean().item(),
        "density": inside / (COVERAGE_K * num),
        "coverage": (closest <= real.fifth).double().mean().item(),
    }
