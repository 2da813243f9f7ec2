"""The sliced Wasserstein distance of Karras et al. 2018 (Progressive GAN, section 5): it needs no trained network."""

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_dist.data.order import Stream, normal, permutation

PATCH = 7
NUM_PATCHES, NUM_DIRECTIONS = 65_536, 64


def sliced_distance(real: Tensor, generated: Tensor) -> float:
    """Between two sets of pixels, uint8 [N, H, W] and [M, H, W].

    Patches of 7 x 7 pixels of a Laplacian pyramid (here of two levels: details, and the image at half resolution),
    scaled to mean 0 and variance 1; their one-dimensional Wasserstein distance in random directions, averaged over
    directions and levels, times 1000 as in the paper. Patches and directions are the same each time.
    """
    distances = []
    for level, (one, other) in enumerate(zip(_pyramid(real), _pyramid(generated), strict=True)):
        places = min(len(one), len(other)) * (one.shape[1] - PATCH + 1) * (one.shape[2] - PATCH + 1)
        num = min(NUM_PATCHES, places)
        directions = normal(level, Stream.EVALUATION, [0], NUM_DIRECTIONS, PATCH * PATCH)[0].float().to(one.device)
        directions /= directions.norm(dim=1, keepdim=True)
        # As many of each, so that the sorted projections are the two inverse distribution functions at the same points.
        sides = [(_patches(images, num) @ directions.T).sort(dim=0).values for images in (one, other)]
        distances.append((sides[0] - sides[1]).abs().mean().item())
    return 1000 * sum(distances) / len(distances)


def _pyramid(pixels: Tensor) -> list[Tensor]:
    images = pixels.unsqueeze(1).float() / 127.5 - 1
    half = F.avg_pool2d(_blur(images), 2)
    details = images - _blur(F.interpolate(half, scale_factor=2.0))
    return [details.squeeze(1), half.squeeze(1)]


def _blur(images: Tensor) -> Tensor:
    line = images.new_tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    padded = F.pad(images, (2, 2, 2, 2), mode="reflect")
    return F.conv2d(F.conv2d(padded, line.view(1, 1, 1, 5)), line.view(1, 1, 5, 1))


def _patches(images: Tensor, num: int) -> Tensor:
    """`num` patches at places drawn from all places of all images -> [num, 49], of mean 0 and variance 1."""
    views = images.unfold(1, PATCH, 1).unfold(2, PATCH, 1)  # [N, rows, columns, 7, 7], no copy
    places = torch.from_numpy(permutation(0, 0, views.shape[:3].numel())[:num]).to(images.device)
    index = torch.unravel_index(places, views.shape[:3])
    patches = views[index].flatten(1)
    return (patches - patches.mean()) / patches.std()
