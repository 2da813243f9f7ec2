"""Noise to look at: with its extremes cut off, and on the way from one image to another."""

import itertools

import torch
from torch import Tensor

from gan_dist.data.order import Stream, normal

ANEW = 1 << 40  # rows of the stream: further than any image


def truncated(seed: int, num_rows: int, dim: int, limit: float | None = None) -> Tensor:
    """The first rows of the stream of samples -> float64 [num_rows, dim]. None: as they are.

    limit: above 0; numbers beyond it, in absolute value, are drawn anew until none is: Brock et al., "Large scale GAN
    training for high fidelity natural image synthesis", ICLR 2019.
    """
    (noise,) = normal(seed, Stream.SAMPLE, [0], num_rows, dim)
    for attempt in itertools.count(1):
        beyond = noise.abs() > (torch.inf if limit is None else limit)
        if not beyond.any():
            break
        noise = torch.where(beyond, normal(seed, Stream.SAMPLE, [attempt * ANEW], num_rows, dim)[0], noise)
    return noise


def between(start: Tensor, end: Tensor, part: Tensor) -> Tensor:
    """The noise at `part`, 0 to 1, of the way from start to end [..., dim]; part must broadcast with [..., 1].

    Along great circles, as normal noise lies near a sphere: White, "Sampling generative networks", 2016.
    """
    angle = torch.acos(torch.cosine_similarity(start, end, dim=-1).clamp(-1, 1)).unsqueeze(-1)
    on_circle = (torch.sin((1 - part) * angle) * start + torch.sin(part * angle) * end) / torch.sin(angle)
    # Where both lie on one line through zero, as all do with one dimension, no circle leads from one to the other.
    return torch.where(torch.sin(angle) > 1e-6, on_circle, torch.lerp(start, end, part))
