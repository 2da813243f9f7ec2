"""Averages metrics over the global batch, and reads them from the device only on log steps."""

import math

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from gan_dist.adversarial.finite import Diverged
from gan_dist.adversarial.step import StepResult


class Meter:
    """Collects the losses of every step on the device; `read` brings them to the host.

    log_every: usual steps between two reads; first_step: the step of the first `update`; dtype: of the losses.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        accelerator: Accelerator,
        log_every: int,
        first_step: int,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.generator, self.discriminator, self.accelerator = generator, discriminator, accelerator
        self.losses = torch.zeros(min(log_every, 1000), 2, device=accelerator.device, dtype=dtype)
        self.first_step, self.count = first_step, 0
        self.steps_read = 0  # of which the last `read` told

    def update(self, result: StepResult) -> None:
        """Keep the losses of one step, without waiting for the device."""
        if self.count == len(self.losses):  # an interval may be longer than the run, and than memory
            self.losses = torch.cat([self.losses, torch.zeros_like(self.losses)])
        self.losses[self.count] = torch.stack([result.loss_d, result.loss_g])
        self.count += 1

    def read(self, result: StepResult) -> dict[str, float]:
        """Losses, D's mean logits and sign accuracies, and norms of gradients at the last step, over all processes.

        Every process must call it. Raises Diverged if any step since the last call had a loss that is not
        finite.
        """
        real, fake = result.logits_real, result.logits_fake
        right_real, right_fake = (real > 0).to(self.losses), (fake < 0).to(self.losses)
        means = [real.mean(), fake.mean(), right_real.mean(), right_fake.mean()]
        norms = [
            _gradient_norm(network) if norm is None else norm
            for network, norm in ((self.discriminator, result.grad_norm_d), (self.generator, result.grad_norm_g))
        ]
        numbers = torch.cat([self.losses[: self.count].flatten(), torch.stack(means + norms).to(self.losses)])
        *losses, logit_real, logit_fake, accuracy_real, accuracy_fake, norm_d, norm_g = self.accelerator.reduce(
            numbers, "mean"
        ).tolist()  # the one point between log steps at which the host waits for the device
        for i, loss in enumerate(losses):
            if not math.isfinite(loss):
                name, step = ("loss_d", "loss_g")[i % 2], self.first_step + i // 2
                raise Diverged(f"step {step}: {name} is {loss}; lower learning rates may help")
        self.steps_read = self.count
        self.first_step, self.count = self.first_step + self.count, 0
        # With fp16 a gradient may overflow, and the step is skipped; JSON has no infinity.
        gradients = {"grad_norm_d": norm_d, "grad_norm_g": norm_g}
        return {
            "loss_d": losses[-2],
            "loss_g": losses[-1],
            "logit_real": logit_real,
            "logit_fake": logit_fake,
            "accuracy_real": accuracy_real,
            "accuracy_fake": accuracy_fake,
            **{name: norm for name, norm in gradients.items() if math.isfinite(norm)},
        }


def _gradient_norm(network: nn.Module) -> Tensor:
    """Of the gradients that the last update used, which are still there."""
    return get_total_norm([p.grad for p in network.parameters() if p.grad is not None])
