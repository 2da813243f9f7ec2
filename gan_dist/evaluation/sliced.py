"""The sliced Wasserstein distance of Karras et al. 2018 (Progressive GAN, section 5): it needs no trained network."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_dist.data.order import Stream, first_of_permutation, normal

PATCH = 7
LEAST_SIZE = 8  # of height and width
COARSEST = 16  # about the smaller side of the last level, as in the paper
NUM_PATCHES, NUM_DIRECTIONS = 65_536, 64
CHUNK = 500  # images whose pyramids are held at once


def sliced_distance(real: Tensor, generated: Tensor) -> float:
    """Between two sets of pixels, uint8 [N, C, H, W] and [M, C, H, W], of 8 x 8 or larger.

    Patches of 7 x 7 pixels in all channels, from the levels of a Laplacian pyramid (details at each size, and the image
    at the last), each channel scaled to mean 0 and variance 1; their one-dimensional Wasserstein distance in random
    directions, averaged over directions and levels, times 1000 as in the paper. Patches and directions are the same
    each time.
    """
    # As many of each, so that the sorted projections are the two inverse distribution functions at the same points.
    num_images = min(len(real), len(generated))
    distances = []
    for level, sides in enumerate(zip(_patches(real, num_images), _patches(generated, num_images), strict=True)):
        directions = normal(level, Stream.EVALUATION, [0], NUM_DIRECTIONS, sides[0].shape[1])[0].float()
        directions = (directions / directions.norm(dim=1, keepdim=True)).to(real.device)
        one, other = ((patches @ directions.T).sort(dim=0).values for patches in sides)
        distances.append((one - other).abs().mean().item())
    return 1000 * sum(distances) / len(distances)


def _patches(pixels: Tensor, num_images: int) -> list[Tensor]:
    """From each level those at places drawn from all places of all images, as many as for `num_images` -> each
    [num, C * 49], of mean 0 and variance 1 in each channel.
    """
    channels, *size = pixels.shape[1:]
    places, levels = [], []
    for level in range(1 + max(0, round(math.log2(min(size) / COARSEST)))):
        rows, columns = ((side >> level) - PATCH + 1 for side in size)
        num = min(NUM_PATCHES, num_images * rows * columns)
        drawn = torch.from_numpy(first_of_permutation(0, 0, len(pixels) * rows * columns, num)).to(pixels.device)
        places.append(torch.unravel_index(drawn, (len(pixels), rows, columns)))
        levels.append(torch.empty(num, channels, PATCH, PATCH, device=pixels.device))
    for start in range(0, len(pixels), CHUNK):
        pyramid = _pyramid(pixels[start : start + CHUNK], len(levels))
        for images, (image, row, column), patches in zip(pyramid, places, levels, strict=True):
            (here,) = ((image >= start) & (image < start + CHUNK)).nonzero(as_tuple=True)
            views = images.unfold(2, PATCH, 1).unfold(3, PATCH, 1).permute(0, 2, 3, 1, 4, 5)  # no copy
            patches[here] = views[image[here] - start, row[here], column[here]]
    return [torch.cat([_scaled(each.flatten(1)) for each in patches.unbind(1)], dim=1) for patches in levels]


def _scaled(numbers: Tensor) -> Tensor:
    return (numbers - numbers.mean()) / numbers.std().clamp(min=1e-6)  # all the same, as of black images: they stay 0


def _pyramid(pixels: Tensor, num_levels: int) -> list[Tensor]:
    images, levels = pixels.float() / 127.5 - 1, []
    for _ in range(num_levels - 1):
        half = F.avg_pool2d(_blur(images), 2)
        levels.append(images - _blur(F.interpolate(half, images.shape[2:])))
        images = half
    return [*levels, images]


def _blur(images: Tensor) -> Tensor:
    """With 1, 4, 6, 4, 1 in both directions; sums take a tenth of the time of a convolution of one channel."""
    x = F.pad(images, (2, 2, 2, 2), mode="reflect")
    for dim in (2, 3):
        a, b, c, d, e = (x.narrow(dim, start, x.shape[dim] - 4) for start in range(5))
        x = (a + e).add_(b + d, alpha=4).add_(c, alpha=6)
    return x.div_(256)
