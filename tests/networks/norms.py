"""Norms that change something in each forward, in eval mode too, as networks on GitHub have them: a spectral norm that
keeps its vector in a frozen parameter, torch's of before parametrizations, and a part that is always in eval mode.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SpectralNorm(nn.Module):
    """A linear layer divided by an estimate of its largest singular value."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.layer = layer
        self.u = nn.Parameter(F.normalize(torch.randn(layer.out_features), dim=0), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        weight = self.layer.weight
        v = F.normalize(weight.detach().t() @ self.u, dim=0)
        self.u.data = F.normalize(weight.detach() @ v, dim=0)
        return F.linear(x, weight / (self.u.detach() @ weight @ v), self.layer.bias)


class Generator(nn.Module):
    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        hidden = nn.utils.spectral_norm(nn.Linear(latent_dim, 32))
        self.layers = nn.Sequential(SpectralNorm(nn.Linear(latent_dim, latent_dim)), hidden, nn.ReLU())
        self.still = nn.Dropout(0.5).eval()
        self.end = nn.Linear(32, 784)

    def forward(self, noise: Tensor) -> Tensor:
        return self.end(self.still(self.layers(noise))).tanh().view(-1, 1, 28, 28)


class Discriminator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), SpectralNorm(nn.Linear(784, 32)), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)
