"""Two perceptrons of three layers: the article's first pair."""

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn


class Generator(nn.Module, PyTorchModelHubMixin):
    """noise [N, latent_dim] -> images [N, 1, 28, 28] in [-1, 1]."""

    def __init__(self, latent_dim: int = 100, hidden: int = 256) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, 28 * 28),
            nn.Tanh(),
        )

    def forward(self, noise: Tensor) -> Tensor:
        return self.layers(noise).view(-1, 1, 28, 28)


class Discriminator(nn.Module, PyTorchModelHubMixin):
    """images [N, 1, 28, 28] -> logits [N], above 0 for "real"."""

    def __init__(self, hidden: int = 256) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(28 * 28, hidden),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(hidden, hidden),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(hidden, 1),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images.flatten(1)).squeeze(1)

    def probability(self, images: Tensor) -> Tensor:
        """images [N, 1, 28, 28] -> probability [N] that each is real."""
        return torch.sigmoid(self(images))
