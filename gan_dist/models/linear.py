"""Two perceptrons of three layers: the article's first pair."""

import math
from collections.abc import Sequence

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn


class Generator(nn.Module, PyTorchModelHubMixin):
    """noise [N, latent_dim] -> images [N, *image_shape] in [-1, 1]."""

    def __init__(self, latent_dim: int = 100, hidden: int = 256, image_shape: Sequence[int] = (1, 28, 28)) -> None:
        super().__init__()
        self.latent_dim, self.image_shape = latent_dim, tuple(image_shape)
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, math.prod(image_shape)),
            nn.Tanh(),
        )

    def forward(self, noise: Tensor) -> Tensor:
        return self.layers(noise).view(-1, *self.image_shape)


class Discriminator(nn.Module, PyTorchModelHubMixin):
    """images [N, *image_shape] -> logits [N], above 0 for "real"."""

    def __init__(self, hidden: int = 256, image_shape: Sequence[int] = (1, 28, 28)) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(math.prod(image_shape), hidden),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(hidden, hidden),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(hidden, 1),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images.flatten(1)).squeeze(1)

    def probability(self, images: Tensor) -> Tensor:
        """images [N, *image_shape] -> probability [N] that each is real."""
        return torch.sigmoid(self(images))
