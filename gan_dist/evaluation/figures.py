"""All figures of a set of images, from their pixels, features and classes."""

from typing import NamedTuple

from torch import Tensor

from gan_dist.evaluation.distances import (
    KernelSums,
    Moments,
    class_shares,
    divergence,
    frechet_distance,
    kernel_distance,
    kernel_sums,
    moments,
)
from gan_dist.evaluation.neighbours import Neighbours, compare, find_neighbours

# Grey levels, root mean square. Real images are hardly ever as near to each other as this: no two of 10,000 training
# images of MNIST, six of Fashion-MNIST's.
SAME = 8.0


class Pairs(NamedTuple):
    """What the figures that compare single images need of the real ones."""

    neighbours: Neighbours
    sums: KernelSums


class Reference(NamedTuple):
    """Real images: their moments, shares of classes [10], and `pairs` unless only the former are known."""

    moments: Moments
    shares: Tensor
    pairs: Pairs | None


def measure(
    real: Reference, pixels: Tensor, features: Tensor, classes: Tensor, labels: Tensor | None = None
) -> dict[str, float]:
    """Figures of N images: pixels, uint8 [N, 28, 28], features [N, D], classes as recognised [N] and as asked for [N].

    docs/quality.md says what each figure is.
    """
    neighbours = find_neighbours(features)
    shares = class_shares(classes)
    figures = {"frechet_distance": frechet_distance(real.moments, moments(features))}
    if real.pairs:
        figures["kernel_distance"] = kernel_distance(real.pairs.sums, kernel_sums(features))
        figures |= compare(real.pairs.neighbours, neighbours)
    figures["digit_kl"] = divergence(shares, real.shares)
    figures["largest_class"] = shares.max().item()
    figures["duplicates"] = duplicates(pixels, neighbours.nearest)
    if labels is not None:
        figures["as_asked"] = (classes == labels).double().mean().item()
    return figures


def duplicates(pixels: Tensor, nearest: Tensor) -> float:
    """Share of the images [N, H, W] that are the same picture as their nearest other one [N], but for SAME."""
    squares = (pixels.float() - pixels[nearest].float()).square().mean((1, 2))
    return (squares <= SAME**2).double().mean().item()


def pairs_of(features: Tensor) -> Pairs:
    return Pairs(find_neighbours(features), kernel_sums(features))
