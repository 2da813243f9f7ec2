"""A small convolutional pair, with labels or without: good digits in minutes on a CPU.

A DCGAN (Radford et al., ICLR 2016) with a residual block (He et al., CVPR 2016) at a quarter of the size, where a
convolution costs least, and sub-pixel upsampling (Shi et al., CVPR 2016) to the full size. D has no BatchNorm, so that
one forward can take real and generated images together.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn

from gan_dist.distributed.batchnorm import ClassStd
from gan_dist.models._shape import quarter


class LayerNormOfPixels(nn.LayerNorm):
    """Images [N, C, H, W], the C channels of each pixel normalised (Ba et al., "Layer normalization", 2016)."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Generator(nn.Module, PyTorchModelHubMixin):
    """noise [N, latent_dim] and labels [N] (int64) -> images [N, *image_shape] in [-1, 1].

    image_shape: channels, height and width, which are multiples of 4. num_classes: 0 for a generator without labels.
    layer_norm: in place of BatchNorm; then an image does not depend on the others of its batch.
    Where labels are left out it draws them by their frequencies in training, from torch's generator.
    """

    class_frequencies: Tensor

    def __init__(
        self,
        latent_dim: int = 64,
        image_shape: Sequence[int] = (1, 28, 28),
        num_classes: int = 0,
        width: int = 32,
        layer_norm: bool = False,
    ) -> None:
        super().__init__()
        norm = LayerNormOfPixels if layer_norm else nn.BatchNorm2d
        self.latent_dim, self.num_classes = latent_dim, num_classes
        channels = image_shape[0]
        self.start = 2 * width, *quarter(image_shape)
        self.project = nn.Linear(latent_dim + num_classes, math.prod(self.start), bias=False)
        self.norm = norm(2 * width)
        self.block = nn.Sequential(
            nn.Conv2d(2 * width, 2 * width, kernel_size=3, padding=1, bias=False), norm(2 * width)
        )
        self.up = nn.Sequential(
            nn.ConvTranspose2d(2 * width, width, kernel_size=4, stride=2, padding=1, bias=False),
            norm(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, 4 * channels, kernel_size=3, padding=1),
            nn.PixelShuffle(2),
            nn.Tanh(),
        )
        if num_classes:
            self.register_buffer("class_frequencies", torch.full((num_classes,), 1 / num_classes))
        self.to(memory_format=torch.channels_last)  # the same numbers but for rounding; faster with AVX2

    def forward(self, noise: Tensor, labels: Tensor | None = None) -> Tensor:
        if self.num_classes:
            if labels is None:
                labels = torch.multinomial(self.class_frequencies, len(noise), replacement=True)
            noise = torch.cat([noise, 2 * F.one_hot(labels, self.num_classes).to(noise.dtype)], dim=1)
        x = self.project(noise).view(-1, *self.start).contiguous(memory_format=torch.channels_last)
        x = F.relu(self.norm(x))
        return self.up(F.relu(x + self.block(x)))


class LinearOfImages(nn.Linear):
    """What `nn.Linear` makes of the flattened images [N, C, H, W] -> [N, out_features].

    It flattens them as they lie in channels_last, and its weights with them: gradients keep the memory format of the
    layers below, and an elementwise operation on two formats takes 25 to 40 times as long on a CPU.
    """

    def forward(self, input: Tensor) -> Tensor:
        weight = self.weight.view(-1, *input.shape[1:]).permute(0, 2, 3, 1).flatten(1)
        return F.linear(input.permute(0, 2, 3, 1).flatten(1), weight, self.bias)


class Discriminator(nn.Module, PyTorchModelHubMixin):
    """images [N, *image_shape] and labels [N] or [N, M] (int64) -> logits [N] or [N, M], above 0 for "real".

    The first of M labels is an image's own.

    num_classes: 0 for a discriminator without labels. With labels it has a logit for each class. minibatch_std: it sees
    how much the images of a batch differ, among those of the same class, and so pulls G towards the variance of real
    ones. After Karras et al., "Progressive growing of GANs", ICLR 2018, section 3, who average over all features; here
    each channel's mean over the image has a deviation of its own.
    """

    def __init__(
        self,
        image_shape: Sequence[int] = (1, 28, 28),
        num_classes: int = 0,
        width: int = 32,
        minibatch_std: bool = False,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        channels = image_shape[0]
        self.down = nn.Sequential(
            nn.Conv2d(channels, width, kernel_size=4, stride=2, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(width, 2 * width, kernel_size=4, stride=2, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
        )
        self.block = nn.Conv2d(2 * width, 2 * width, kernel_size=3, padding=1)
        kinds = max(1, num_classes)
        self.logits = LinearOfImages(2 * width * math.prod(quarter(image_shape)), kinds)
        self.spread = ClassStd(kinds) if minibatch_std else None
        if minibatch_std:
            self.logits_of_spread = nn.Linear(2 * width, kinds, bias=False)
        self.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        x = self.down(images)
        x = F.leaky_relu(x + self.block(x), 0.2)
        logits = self.logits(x)
        each = logits.new_zeros(len(x), 1, dtype=torch.int64) if labels is None else labels.view(len(x), -1)
        if self.spread is not None:
            logits = logits + self.logits_of_spread(self.spread(x.mean((2, 3)), each[:, 0]))
        return logits.squeeze(1) if labels is None else logits.gather(1, each).view_as(labels)

    def probability(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """images [N, *image_shape], labels [N] -> probability [N] that each is real."""
        return torch.sigmoid(self(images, labels))
