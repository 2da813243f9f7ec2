"""Where in the noise a generator's images change most."""

import math

import torch
from torch import Tensor, nn

from gan_dist.data.order import Stream, classes_in_turn, normal

PIXELS = 1 << 21  # drawn to find out, about
LEAST_PLACES, MOST_PLACES = 4, 64
NEAR = 0.1


@torch.no_grad()
def directions(generator: nn.Module, num: int) -> Tensor:
    """Orthogonal directions of length 1 along which images change most, the first most -> [num, latent_dim].

    Eigenvectors of the mean of J^T J, J being the derivatives of pixels by noise at some places: Constantine, "Active
    subspaces", SIAM 2015. All classes count alike. num: at most latent_dim. generator: as of `load_generator`.
    """
    dim: int = generator.latent_dim  # type: ignore[assignment]
    num_places = PIXELS // (2 * dim * math.prod(generator.image_shape))  # type: ignore[arg-type]
    num_places = min(max(num_places, LEAST_PLACES), MOST_PLACES)
    labels = classes_in_turn(num_places, generator.num_classes)  # type: ignore[arg-type]
    products = torch.zeros(dim, dim, dtype=torch.float64)
    steps = NEAR * torch.cat([torch.eye(dim), -torch.eye(dim)])
    for i, place in enumerate(normal(0, Stream.SAMPLE, [0], num_places, dim)[0].float()):
        images = generator(place + steps, *(each[i].expand(2 * dim) for each in labels)).flatten(1).double()
        change = (images[:dim] - images[dim:]) / (2 * NEAR)
        products += change @ change.T
    vectors = torch.linalg.eigh(products).eigenvectors  # the last changes most
    return vectors.flip(1)[:, :num].T.float()
