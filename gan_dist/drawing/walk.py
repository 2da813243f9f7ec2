"""Walks between images: each image turns into others of its class, and at the end into itself."""

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan_dist.drawing.images import Drawing

FRAMES = 24  # from one image to the next


def on_sphere(start: Tensor, end: Tensor, part: Tensor) -> Tensor:
    """Noise between start and end [..., latent_dim], where `part` is 0 at the start and 1 at the end.

    Along great circles, as normal noise lies near a sphere: White, "Sampling generative networks", 2016.
    """
    angle = torch.acos(torch.cosine_similarity(start, end, dim=-1).clamp(-1, 1)).unsqueeze(-1)
    on_circle = (torch.sin((1 - part) * angle) * start + torch.sin(part * angle) * end) / torch.sin(angle)
    # Where both lie on one line through zero, as all do with one dimension, no circle leads from one to the other.
    return torch.where(torch.sin(angle) > 1e-6, on_circle, torch.lerp(start, end, part))


def frames(drawing: Drawing, num: int, stops: int) -> Iterator[NDArray[np.uint8]]:
    """Images 0 to `num` - 1 on their way through `stops` images and back, FRAMES * stops times [num, H, W, C]."""
    for stop in range(stops):
        for part in torch.arange(FRAMES, dtype=torch.float64) / FRAMES:
            yield drawing(range(num), partial(_noise, drawing, stop, (stop + 1) % stops, part))


def _noise(drawing: Drawing, start: int, end: int, part: Tensor, rows: range) -> Tensor:
    return on_sphere(drawing.noise(rows, start), drawing.noise(rows, end), part)
