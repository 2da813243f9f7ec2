"""Truncated noise, and the directions that change images most."""

import torch
from torch import Tensor, nn

from gan_dist.data.noise import truncated
from gan_dist.data.order import Stream, normal
from gan_dist.playground.directions import directions


def test_truncated() -> None:
    (whole,) = normal(7, Stream.SAMPLE, [0], 2000, 8)
    assert torch.equal(truncated(7, 2000, 8), whole)
    cut = truncated(7, 2000, 8, 0.5)
    within = whole.abs() <= 0.5
    assert torch.equal(cut[within], whole[within])
    assert cut.abs().max() <= 0.5
    assert cut[~within].unique().numel() == (~within).sum()  # drawn, not clamped
    assert abs(cut[~within].std() - cut[within].std()) < 0.01  # and as likely as those that were within
    assert torch.equal(truncated(7, 10, 8, 0.5), cut[:10])


class Stretching(nn.Module):
    """Each number of the noise moves a pixel of its own, the third most, then the first."""

    latent_dim, num_classes, image_shape = 4, 0, (1, 2, 2)

    def forward(self, noise: Tensor) -> Tensor:
        return torch.tanh(0.1 * noise * torch.tensor([2.0, 0.5, 3.0, 1.0])).view(-1, 1, 2, 2)


def test_directions() -> None:
    found = directions(Stretching(), 3)
    assert torch.allclose(found.abs(), torch.eye(4)[[2, 0, 3]], atol=1e-2)
    assert torch.allclose(found @ found.T, torch.eye(3), atol=1e-5)
