"""All figures of a set of images, from their pixels, features and classes."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_dist.evaluation import LEAST_IMAGES
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
from gan_dist.evaluation.sliced import sliced_distance

# Grey levels, root mean square. Real images are hardly ever as near to each other as this: no two of 10,000 training
# images of MNIST, six of Fashion-MNIST's.
SAME = 8.0
THUMBNAIL = 7  # pixels of the smaller side, at least, of what the nearest other image is found by
BLOCK = 1000  # images whose pixels are held as float32 at once


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
    """Figures of N images: pixels, uint8 [N, C, H, W], features [N, D], classes as recognised [N] and as asked for [N].

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
    """Share of the images [N, C, H, W] that are the same picture as their nearest other one [N], but for SAME."""
    alike = 0
    for rows in torch.arange(len(pixels), device=pixels.device).split(BLOCK):
        squares = (pixels[rows].float() - pixels[nearest[rows]].float()).square().flatten(1).mean(1)
        alike += int((squares <= SAME**2).sum())
    return alike / len(pixels)


def measure_without_network(real: Tensor, pixels: Tensor) -> dict[str, float]:
    """Figures of images of any kind, from pixels, uint8 [N, C, H, W], and those of real images [M, C, H, W]."""
    size = max(1, min(pixels.shape[2:]) // THUMBNAIL)
    thumbnails = torch.cat([F.avg_pool2d(part.float(), size).flatten(1) for part in pixels.split(BLOCK)])
    nearest = find_neighbours(thumbnails).nearest
    return {"sliced_distance": sliced_distance(real, pixels), "duplicates": duplicates(pixels, nearest)}


def floor_without_network(real: Tensor) -> dict[str, float]:
    """The same figures of one half of the real images [N, C, H, W] against the other; none of very few images."""
    one, other = real[: len(real) // 2], real[len(real) // 2 :]
    return {"num": len(one), **measure_without_network(other, one)} if len(one) >= LEAST_IMAGES else {}


def pairs_of(features: Tensor) -> Pairs:
    return Pairs(find_neighbours(features), kernel_sums(features))
