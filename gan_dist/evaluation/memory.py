"""Does a generator repeat its training images? Its images beside the nearest of those."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

NUM_NEAREST = 3
BLOCK = 2000  # training images that are held at once


def beside_nearest(images: Tensor, training: NDArray[np.uint8]) -> Tensor:
    """[N, C, H, W] in [-1, 1], and uint8 [M, C, H, W] -> each image and the 3 nearest of `training` by the Euclidean
    distance of pixels, the nearest first: [4 * N, C, H, W] in [-1, 1].
    """
    best: list[Tensor] = []
    places: list[Tensor] = []
    flat = images.flatten(1)
    for start in range(0, len(training), BLOCK):
        part = torch.tensor(training[start : start + BLOCK])
        distances = torch.cdist(flat, part.flatten(1).to(flat).div_(127.5).sub_(1))
        values, indices = distances.topk(min(NUM_NEAREST, len(part)), largest=False)
        best.append(values)
        places.append(indices + start)
    nearest = torch.cat(places, 1).gather(1, torch.cat(best, 1).topk(NUM_NEAREST, largest=False).indices)
    theirs = torch.tensor(training[nearest.cpu().numpy()]).to(images).div_(127.5).sub_(1)
    return torch.cat([images.unsqueeze(1), theirs], dim=1).flatten(0, 1)
