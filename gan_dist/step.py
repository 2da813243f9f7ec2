"""One adversarial step: D learns from real and fake, then G learns from D."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gan_dist.losses import discriminator_loss, generator_loss


class Outcome(NamedTuple):
    """What a step leaves to look at, of this process's rows, on the device, before the updates."""

    loss_d: Tensor  # scalar
    loss_g: Tensor  # scalar
    logits_real: Tensor  # [N]
    logits_fake: Tensor  # [N]


class AdversarialStep:
    """Updates D, then G against the new D, from real images and noise.

    generator, discriminator: as `Accelerator.prepare` returns them. raw_discriminator: the module inside.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        raw_discriminator: nn.Module,
        opt_g: Optimizer,
        opt_d: Optimizer,
    ) -> None:
        self.generator, self.discriminator = generator, discriminator
        self.raw_discriminator = raw_discriminator
        self.opt_g, self.opt_d = opt_g, opt_d

    def __call__(self, real: Tensor, noise: Tensor) -> Outcome:
        """real [N, 1, 28, 28] in [-1, 1], noise [N, latent_dim]: this process's rows."""
        # The one forward of G serves both updates: D sees it detached, G's update goes back through it.
        fake = self.generator(noise)

        # One forward of D on both: two before one backward break DDP's buffers (pytorch#22095).
        self.raw_discriminator.requires_grad_(True)
        logits_real, logits_fake = self.discriminator(torch.cat([real, fake.detach()])).chunk(2)
        loss_d = discriminator_loss(logits_real, logits_fake)
        self.opt_d.zero_grad()
        loss_d.backward()
        self.opt_d.step()

        # D frozen and outside of DDP: its weight gradients are neither computed nor all-reduced.
        self.raw_discriminator.requires_grad_(False)
        loss_g = generator_loss(self.raw_discriminator(fake))
        self.opt_g.zero_grad()
        loss_g.backward()
        self.opt_g.step()
        return Outcome(loss_d.detach(), loss_g.detach(), logits_real.detach(), logits_fake.detach())
