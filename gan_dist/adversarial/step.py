"""One adversarial step: D learns from real and fake, then G learns from D."""

import contextlib
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gan_dist.adversarial.objectives import discriminator_loss, generator_loss
from gan_dist.adversarial.optimizer import ScaledOptimizer


class Batch(NamedTuple):
    """This process's rows of a global batch, on its device."""

    real: Tensor  # images [N, C, H, W] in [-1, 1]
    noise: Tensor  # [N, latent_dim]


class StepResult(NamedTuple):
    """What a step computed that may be logged, for this process's rows, on the device."""

    loss_d: Tensor  # scalar
    loss_g: Tensor  # scalar
    logits_real: Tensor  # [N], of D before its update
    logits_fake: Tensor  # [N], the same
    grad_norm_d: Tensor | None  # scalar: Euclidean norm of D's gradient before clipping; None without clipping
    grad_norm_g: Tensor | None


class AdversarialStep:
    """Updates D, then G against the new D, from real images and noise.

    generator, discriminator: as `Accelerator.prepare` returns them. optimizer_g, optimizer_d: over the modules inside.
    accumulate: parts that a batch is split into, to save memory; the gradients are the mean over the whole batch.
    apart: D runs on real and on generated images separately, as it must if it has a layer such as BatchNorm.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        optimizer_g: ScaledOptimizer,
        optimizer_d: ScaledOptimizer,
        accumulate: int = 1,
        apart: bool = False,
    ) -> None:
        self.generator, self.discriminator = generator, discriminator
        self.optimizer_g, self.optimizer_d, self.accumulate, self.apart = optimizer_g, optimizer_d, accumulate, apart
        self._weights_d = [p for p in optimizer_d.network.parameters() if p.requires_grad]  # the rest stays frozen

    def __call__(self, batch: Batch) -> StepResult:
        raw_discriminator, num = self.optimizer_d.network, self.accumulate
        noises, losses_d, losses_g, logits = batch.noise.chunk(num), [], [], []

        self._train_d(True)
        self.optimizer_d.zero_grad()
        for i, real_part in enumerate(batch.real.chunk(num)):
            # The one forward of G serves both updates: D sees it detached, G's update goes back through it. Parts of a
            # batch are made again for G's update, so that memory holds the graph of one.
            with torch.set_grad_enabled(num == 1):
                fake = self.generator(noises[i])
            with _all_reduce_if(i == num - 1, self.discriminator):
                logits_real, logits_fake = self.judge(real_part, fake.detach())
                losses_d.append(discriminator_loss(logits_real, logits_fake) / num)
                self.optimizer_d.backward(losses_d[i])
            logits.append((logits_real.detach().flatten(), logits_fake.detach().flatten()))
        norm_d = self.optimizer_d.step()

        # D frozen and outside of DDP: its weight gradients are neither computed nor all-reduced.
        self._train_d(False)
        self.optimizer_g.zero_grad()
        for i in range(num):
            with _all_reduce_if(i == num - 1, self.generator):
                fake = fake if num == 1 else self.generator(noises[i])
                losses_g.append(generator_loss(raw_discriminator(fake)) / num)
                self.optimizer_g.backward(losses_g[i])
        norm_g = self.optimizer_g.step()
        all_real, all_fake = logits[0] if num == 1 else map(torch.cat, zip(*logits, strict=True))
        return StepResult(_sum(losses_d), _sum(losses_g), all_real, all_fake, norm_d, norm_g)

    def judge(self, real: Tensor, fake: Tensor) -> Sequence[Tensor]:
        """D's logits of real and of generated images, from one forward where that is possible, as it is faster."""
        if self.apart:
            return self.discriminator(real), self.discriminator(fake)
        return self.discriminator(torch.cat([real, fake])).chunk(2)

    def _train_d(self, yes: bool) -> None:
        for weight in self._weights_d:
            weight.requires_grad_(yes)


def _sum(losses: list[Tensor]) -> Tensor:
    return sum(losses[1:], start=losses[0]).detach()


def _all_reduce_if(yes: bool, network: nn.Module) -> contextlib.AbstractContextManager[None]:
    """Gradients are all-reduced with those of the last part, once for a step."""
    no_sync = getattr(network, "no_sync", None)  # DDP's, also through the wrapper of a compiled one
    return contextlib.nullcontext() if yes or no_sync is None else no_sync()
