"""A small DCGAN, with labels or without: good digits in minutes on a CPU.

After Radford et al., "Unsupervised representation learning with deep convolutional generative adversarial networks",
ICLR 2016. The discriminator has no BatchNorm, so that one forward can take real and generated images together.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn


class Generator(nn.Module, PyTorchModelHubMixin):
    """noise [N, latent_dim] and labels [N] (int64) -> images [N, *image_shape] in [-1, 1].

    num_classes: 0 for a generator without labels. Where labels are left out it draws them by their frequencies in
    training, from torch's generator.
    """

    class_frequencies: Tensor

    def __init__(
        self,
        latent_dim: int = 64,
        image_shape: Sequence[int] = (1, 28, 28),
        num_classes: int = 0,
        width: int = 24,
    ) -> None:
        super().__init__()
        self.latent_dim, self.num_classes = latent_dim, num_classes
        channels, *size = image_shape
        self.start = 2 * width, size[0] // 4, size[1] // 4
        self.project = nn.Linear(latent_dim + num_classes, self.start[0] * self.start[1] * self.start[2], bias=False)
        self.layers = nn.Sequential(
            nn.BatchNorm2d(2 * width),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(2 * width, width, kernel_size=4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(width, channels, kernel_size=4, stride=2, padding=1),
            nn.Tanh(),
        )
        if num_classes:
            self.register_buffer("class_frequencies", torch.full((num_classes,), 1 / num_classes))

    def forward(self, noise: Tensor, labels: Tensor | None = None) -> Tensor:
        if self.num_classes:
            if labels is None:
                labels = torch.multinomial(self.class_frequencies, len(noise), replacement=True)
            noise = torch.cat([noise, 2 * F.one_hot(labels, self.num_classes).to(noise.dtype)], dim=1)
        return self.layers(self.project(noise).view(-1, *self.start))


class Discriminator(nn.Module, PyTorchModelHubMixin):
    """images [N, *image_shape] and labels [N] (int64) -> logits [N], above 0 for "real".

    num_classes: 0 for a discriminator without labels. With labels it has a last layer for each class.
    """

    def __init__(self, image_shape: Sequence[int] = (1, 28, 28), num_classes: int = 0, width: int = 24) -> None:
        super().__init__()
        self.num_classes = num_classes
        channels, *size = image_shape
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, kernel_size=4, stride=2, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(width, 2 * width, kernel_size=4, stride=2, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Flatten(),
            nn.Linear(2 * width * (size[0] // 4) * (size[1] // 4), max(1, num_classes)),
        )

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        logits = self.layers(images)
        return logits.squeeze(1) if labels is None else logits.gather(1, labels.unsqueeze(1)).squeeze(1)

    def probability(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """images [N, *image_shape], labels [N] -> probability [N] that each is real."""
        return torch.sigmoid(self(images, labels))
