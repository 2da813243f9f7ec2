"""The directions of the noise that change images most."""

import torch
from torch import Tensor, nn

from gan_dist.playground.directions import directions


class Stretching(nn.Module):
    """Each number of the noise moves a pixel of its own, the third most, then the first."""

    latent_dim, num_classes, image_shape = 4, 0, (1, 2, 2)

    def forward(self, noise: Tensor) -> Tensor:
        return torch.tanh(0.1 * noise * torch.tensor([2.0, 0.5, 3.0, 1.0])).view(-1, 1, 2, 2)


def test_directions() -> None:
    found = directions(Stretching(), 3)
    assert torch.allclose(found.abs(), torch.eye(4)[[2, 0, 3]], atol=1e-2)
    assert torch.allclose(found @ found.T, torch.eye(3), atol=1e-5)
