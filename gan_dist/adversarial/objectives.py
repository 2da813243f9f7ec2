"""Objectives: functions from logits to a scalar loss, independent of networks, optimizers and processes.

A loss of D takes the logits of real and of generated images, [N] and [N]. A loss of G takes those of generated images
from the new D, and those of real images from D before its update, with row i of both of the same class.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor


class Objective(NamedTuple):
    """What D and G minimise."""

    discriminator: Callable[[Tensor, Tensor], Tensor]  # logits of real, of generated images -> scalar
    generator: Callable[[Tensor, Tensor], Tensor]  # logits of generated, of real images -> scalar
    boundary: float | None = 0.0  # D takes an image with a greater logit for real; None: it compares it with another's
    gradient_penalty: float = 0.0  # weight of the penalty on images between real and generated ones


def discriminator_loss(logits_real: Tensor, logits_fake: Tensor) -> Tensor:
    """Binary cross-entropy of "real" for real images plus that of "fake" for generated ones.

    2 ln 2 = 1.386 if D cannot tell. Goodfellow et al., "Generative adversarial nets", NeurIPS 2014, algorithm 1.
    softplus(-x) is -log(sigmoid(x)), without the overflow.
    """
    return F.softplus(-logits_real).mean() + F.softplus(logits_fake).mean()


def generator_loss(logits_fake: Tensor, logits_real: Tensor) -> Tensor:
    """Binary cross-entropy of "real" for generated images: the non-saturating loss of the same paper.

    ln 2 = 0.693 if D cannot tell.
    """
    return F.softplus(-logits_fake).mean()


def _hinge_d(real: Tensor, fake: Tensor) -> Tensor:
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def _lsgan_d(real: Tensor, fake: Tensor) -> Tensor:
    return ((real - 1).square().mean() + fake.square().mean()) / 2


def _lsgan_g(fake: Tensor, real: Tensor) -> Tensor:
    return (fake - 1).square().mean() / 2


def _wasserstein_d(real: Tensor, fake: Tensor) -> Tensor:
    return fake.mean() - real.mean()


def _minus_mean(fake: Tensor, real: Tensor) -> Tensor:
    return -fake.mean()


def _pairs_d(real: Tensor, fake: Tensor) -> Tensor:
    return F.softplus(fake - real).mean()


def _pairs_g(fake: Tensor, real: Tensor) -> Tensor:
    return F.softplus(real - fake).mean()


OBJECTIVES = {
    "bce": Objective(discriminator_loss, generator_loss),
    # Lim and Ye, "Geometric GAN", 2017
    "hinge": Objective(_hinge_d, _minus_mean),
    # Mao et al., "Least squares generative adversarial networks", ICCV 2017, equation 9
    "lsgan": Objective(_lsgan_d, _lsgan_g, boundary=0.5),
    # Gulrajani et al., "Improved training of Wasserstein GANs", NeurIPS 2017, with one update of D to one of G
    "wgan-gp": Objective(_wasserstein_d, _minus_mean, boundary=None, gradient_penalty=10.0),
    # Jolicoeur-Martineau, "The relativistic discriminator", ICLR 2019, on pairs as in Huang et al., "The GAN is dead;
    # long live the GAN!", NeurIPS 2024
    "relativistic": Objective(_pairs_d, _pairs_g, boundary=None),
}
