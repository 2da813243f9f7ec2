"""Does a generator repeat its training images? Its images beside the nearest of those."""

import torch
from torch import Tensor

NUM_NEAREST = 3


def beside_nearest(images: Tensor, training: Tensor) -> Tensor:
    """[N, 1, H, W] in [-1, 1], and uint8 [M, H, W] -> each image and the 3 nearest of `training` by the Euclidean
    distance of pixels, the nearest first: [4 * N, 1, H, W] in [-1, 1].
    """
    best: list[Tensor] = []
    places: list[Tensor] = []
    flat, start = images.flatten(1), 0
    for part in training.split(10_000):
        distances = torch.cdist(flat, part.flatten(1).to(flat).div_(127.5).sub_(1))
        values, indices = distances.topk(min(NUM_NEAREST, len(part)), largest=False)
        best.append(values)
        places.append(indices + start)
        start += len(part)
    nearest = torch.cat(places, 1).gather(1, torch.cat(best, 1).topk(NUM_NEAREST, largest=False).indices)
    theirs = training[nearest].to(images).div_(127.5).sub_(1).unsqueeze(2)
    return torch.cat([images.unsqueeze(1), theirs], dim=1).flatten(0, 1)
