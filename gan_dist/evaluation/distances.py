"""Distances between two sets of features, from sums over each of them, in float64."""

from typing import NamedTuple

import torch
from torch import Tensor

BLOCK = 1000  # rows whose products are held at once


class Moments(NamedTuple):
    """Mean [D] and covariance [D, D] (divided by N - 1), float64."""

    mean: Tensor
    covariance: Tensor

    def to(self, device: torch.device) -> "Moments":
        return Moments(self.mean.to(device), self.covariance.to(device))


def moments(features: Tensor) -> Moments:
    """Those of features [N, D], N at least 2."""
    features = features.double()
    return Moments(features.mean(0), features.T.cov())


def frechet_distance(one: Moments, other: Moments) -> float:
    """|m - m'|^2 + tr(C + C' - 2 (C C')^(1/2)), the square of the Frechet distance between two normal distributions
    (Dowson and Landau 1982), as Heusel et al. 2017 use it.

    The eigenvalues of C C' are those of the symmetric C^(1/2) C' C^(1/2), which no rounding makes complex.
    """
    values, vectors = torch.linalg.eigh(one.covariance)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    cross = torch.linalg.eigvalsh(root @ other.covariance @ root).clamp(min=0).sqrt().sum()
    traces = one.covariance.trace() + other.covariance.trace()
    return float((one.mean - other.mean).square().sum() + traces - 2 * cross)


class KernelSums(NamedTuple):
    """Sums over a set from which the mean of the kernel (x.y / D + 1)^3 over all pairs follows."""

    num: int
    powers: tuple[Tensor, Tensor, Tensor]  # sums of x, of x x' and of x x' x'': [D], [D, D], [D * D, D]
    own: float  # sum of the kernel of each x with itself


def kernel_sums(features: Tensor) -> KernelSums:
    """Those of features [N, D], N at least 2; D should be small, as the sums have D^3 numbers."""
    features = features.double()
    num, dim = features.shape
    third = features.new_zeros(dim * dim, dim)
    for rows in features.split(BLOCK):
        third += (rows.unsqueeze(2) * rows.unsqueeze(1)).flatten(1).T @ rows
    own = features.square().sum(1).div(dim).add(1).pow(3).sum()
    return KernelSums(num, (features.sum(0), features.T @ features, third), float(own))


def kernel_distance(one: KernelSums, other: KernelSums) -> float:
    """The unbiased square of the maximum mean discrepancy with the kernel (x.y / D + 1)^3 (Binkowski et al. 2018).

    They average it over random subsets, to bound the cost. Here (t + 1)^3 = 1 + 3t + 3t^2 + t^3 turns the sum over all
    pairs into products of sums over single images: the same estimate with nothing drawn. It can be below 0.
    """

    def over_pairs(a: KernelSums, b: KernelSums) -> float:
        dim = len(a.powers[0])
        inner = [
            float((x * y).sum()) / dim**power for power, (x, y) in enumerate(zip(a.powers, b.powers, strict=True), 1)
        ]
        return a.num * b.num + 3 * inner[0] + 3 * inner[1] + inner[2]

    within = sum((over_pairs(a, a) - a.own) / (a.num * (a.num - 1)) for a in (one, other))
    return within - 2 * over_pairs(one, other) / (one.num * other.num)


def class_shares(classes: Tensor) -> Tensor:
    """How often each of ten classes is among `classes` [N] -> float64 [10], sum 1."""
    return torch.bincount(classes, minlength=10).double() / len(classes)


def divergence(shares: Tensor, real: Tensor) -> float:
    """Kullback and Leibler's divergence of class shares from the real ones, in nats: 0 if they are the same.

    Infinite only where a class is in `shares` and not in `real`.
    """
    return float((torch.special.xlogy(shares, shares) - torch.special.xlogy(shares, real)).sum())
