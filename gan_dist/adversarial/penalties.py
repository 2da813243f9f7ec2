"""Gradient penalties of D, computed in the data type of the weights whatever the precision of the run."""

import copy
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Penalty(NamedTuple):
    """A weight, and every how many steps it counts; it then counts for all of them."""

    weight: float
    every: int = 1

    def now(self, step: int) -> float:
        """The weight at step 1, 2, ...: 0 where the penalty is left out."""
        return self.weight * self.every if step % self.every == 0 else 0.0


NONE = Penalty(0.0)


class Penalties:
    """R1 on real images, R2 on generated ones (Mescheder et al., "Which training methods for GANs do actually
    converge?", ICML 2018), lazily (Karras et al., "Analyzing and improving the image quality of StyleGAN", CVPR 2020),
    and the penalty of WGAN-GP on images between them (Gulrajani et al., NeurIPS 2017).

    discriminator: before Accelerate has prepared it, and after `make_global`. between: weight of the last, at every
    step.
    """

    def __init__(self, discriminator: nn.Module, r1: Penalty = NONE, r2: Penalty = NONE, between: float = 0.0) -> None:
        # Accelerate puts its autocast into `forward` of the module that it prepares. This one shares its weights,
        # layers and hooks, and computes in their type.
        self.discriminator = copy.copy(discriminator)
        self.r1, self.r2, self.between = r1, r2, between

    def __call__(
        self, step: int, real: Tensor, fake: Tensor, labels: Sequence[Tensor], place: Tensor | None
    ) -> list[Tensor]:
        """The scalars to add to D's loss at step 1, 2, ...

        real, fake: images [N, C, H, W]. labels: [N], if D takes them. place: [N] in [0, 1), of images between.
        """
        self.discriminator.training = True
        terms = []
        for images, penalty in ((real, self.r1), (fake, self.r2)):
            if weight := penalty.now(step):
                terms.append(self._square_norm(images, labels).mean() * (weight / 2))
        if self.between:
            assert place is not None, "a batch for this objective needs uniform numbers"
            images = torch.lerp(real, fake, place.view(-1, 1, 1, 1))
            terms.append((self._square_norm(images, labels).sqrt() - 1).square().mean() * self.between)
        return terms

    def _square_norm(self, images: Tensor, labels: Sequence[Tensor]) -> Tensor:
        """Of the gradient of each image's logit with respect to the image -> [N]."""
        images = images.detach().requires_grad_(True)
        logits = self.discriminator(images, *labels)
        (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
        return gradient.square().flatten(1).sum(1)
