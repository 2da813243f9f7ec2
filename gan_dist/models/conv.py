"""Convolutional networks with BatchNorm in the generator: the article's second pair."""

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn


class Generator(nn.Module, PyTorchModelHubMixin):
    """noise [N, latent_dim] -> images [N, 1, 28, 28] in [-1, 1].

    The convolutions before a BatchNorm have no bias: its true gradient is zero, and Adam would turn the
    rounding noise in it into full steps that differ with the number of processes.
    """

    def __init__(self, latent_dim: int = 100) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.project = nn.Linear(latent_dim, 56 * 56)
        self.layers = nn.Sequential(
            nn.BatchNorm2d(1),
            nn.ReLU(inplace=True),
            nn.Conv2d(1, 50, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(50),
            nn.ReLU(inplace=True),
            nn.Conv2d(50, 25, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(25),
            nn.ReLU(inplace=True),
            nn.Conv2d(25, 1, kernel_size=2, stride=2),  # 56x56 -> 28x28
            nn.Tanh(),
        )
        self.to(memory_format=torch.channels_last)  # the same numbers but for rounding; convolutions are faster

    def forward(self, noise: Tensor) -> Tensor:
        return self.layers(self.project(noise).view(-1, 1, 56, 56))


class Discriminator(nn.Module, PyTorchModelHubMixin):
    """images [N, 1, 28, 28] -> logits [N], above 0 for "real"."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 32, kernel_size=5, padding=2),
            nn.LeakyReLU(0.2, inplace=True),
            nn.AvgPool2d(2),  # 28x28 -> 14x14
            nn.Conv2d(32, 64, kernel_size=5, padding=2),
            nn.LeakyReLU(0.2, inplace=True),
            nn.AvgPool2d(2),  # 14x14 -> 7x7
            nn.Flatten(),
            nn.Linear(64 * 7 * 7, 1024),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(1024, 1),
        )
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images).squeeze(1)

    def probability(self, images: Tensor) -> Tensor:
        """images [N, 1, 28, 28] -> probability [N] that each is real."""
        return torch.sigmoid(self(images))
