"""Objectives: functions from logits to a scalar loss, independent of networks, optimizers and processes."""

import torch.nn.functional as F
from torch import Tensor


def discriminator_loss(logits_real: Tensor, logits_fake: Tensor) -> Tensor:
    """Binary cross-entropy of "real" for real images plus that of "fake" for generated ones.

    logits [N], [N] -> scalar; 2 ln 2 = 1.386 if D cannot tell. Goodfellow et al., "Generative adversarial
    nets", NeurIPS 2014, algorithm 1. softplus(-x) is -log(sigmoid(x)), without the overflow.
    """
    return F.softplus(-logits_real).mean() + F.softplus(logits_fake).mean()


def generator_loss(logits_fake: Tensor) -> Tensor:
    """Binary cross-entropy of "real" for generated images: the non-saturating loss of the same paper.

    logits [N] -> scalar; ln 2 = 0.693 if D cannot tell.
    """
    return F.softplus(-logits_fake).mean()
