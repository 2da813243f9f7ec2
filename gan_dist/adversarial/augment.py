"""Augmentation of what D sees, so that it does not learn a small data set by heart."""

import torch
from torch import Tensor

NAMES = ("translation", "cutout")
SHIFT = 1 / 8  # of the height or width, at most, in either direction
HOLE = 1 / 2  # of the height and width
DRAWS = 4  # uniform numbers for one image


class Augment:
    """Shifts images and cuts a square out of them, real and generated ones alike and in a way that G learns through.

    Zhao et al., "Differentiable augmentation for data-efficient GAN training", NeurIPS 2020, with its sizes; what is
    shifted in and cut out is black here.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    def __call__(self, images: Tensor, uniform: Tensor) -> Tensor:
        """images [N, C, H, W] in [-1, 1], uniform [N, 4] in [0, 1) -> the same shape."""
        light = images + 1  # so that black is 0
        height, width = images.shape[-2:]
        if "translation" in self.names:
            # By products with matrices of 0 and 1: they have a second derivative, which R1 needs, and the same bits
            # on every GPU, unlike indexing.
            rows = _shifted(height, uniform[:, 0], images)
            columns = _shifted(width, uniform[:, 1], images)
            light = rows.unsqueeze(1) @ light @ columns.unsqueeze(1).transpose(-1, -2)
        if "cutout" in self.names:
            hole = _near(height, uniform[:, 2]).unsqueeze(2) & _near(width, uniform[:, 3]).unsqueeze(1)
            light = light * ~hole.unsqueeze(1)
        return light - 1


def _shifted(size: int, uniform: Tensor, like: Tensor) -> Tensor:
    """[N] -> [N, size, size]: matrix n times a column moves it by a whole number of places."""
    most = int(size * SHIFT + 0.5)
    places = torch.arange(size, device=like.device)
    by = (uniform * (2 * most + 1)).floor().long() - most
    return (places.view(1, -1, 1) - by.view(-1, 1, 1) == places).to(like.dtype)


def _near(size: int, uniform: Tensor) -> Tensor:
    """[N] -> [N, size]: the places less than half a hole from a centre, which may lie at the edge."""
    half = int(size * HOLE + 0.5) // 2
    centre = (uniform * (size + 1)).floor().long().unsqueeze(1)
    places = torch.arange(size, device=uniform.device)
    return (places >= centre - half) & (places < centre + half)
