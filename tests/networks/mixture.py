"""Many things at once: GroupNorm in a residual block, attention, spectral norm, shared weights, a bool buffer, a frozen
part, MinibatchStd, and Dropout if it is asked for.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from gan_dist import MinibatchStd


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.GroupNorm(2, width), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Generator(nn.Module):
    def __init__(self, latent_dim: int, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.size = image_shape[1] // 4
        self.project = nn.Linear(latent_dim, 8 * self.size**2)
        self.block = Residual(8)
        self.again = self.block  # the same weights twice
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.draw = nn.Sequential(nn.Upsample(scale_factor=4), nn.Conv2d(8, image_shape[0], 3, padding=1), nn.Tanh())
        self.register_buffer("is_ready", torch.tensor(True))

    def forward(self, noise: Tensor) -> Tensor:
        x = self.again(self.block(self.project(noise).view(-1, 8, self.size, self.size)))
        pixels = x.flatten(2).transpose(1, 2)
        x = x + self.attention(pixels, pixels, pixels, need_weights=False)[0].transpose(1, 2).view_as(x)
        return self.draw(x)


class Discriminator(nn.Module):
    def __init__(self, image_shape: tuple[int, int, int], dropout: float = 0.0) -> None:
        super().__init__()
        self.look = nn.Conv2d(image_shape[0], 8, 5, stride=4, padding=2)
        self.look.weight.requires_grad_(False)
        self.features = nn.Sequential(Residual(8), nn.Dropout(dropout), MinibatchStd(), nn.Flatten())
        self.judge = spectral_norm(nn.Linear(9 * (image_shape[1] // 4) ** 2, 1))

    def forward(self, images: Tensor) -> Tensor:
        return self.judge(self.features(self.look(images)))
