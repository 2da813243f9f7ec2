"""Numbers of a run, over the global batch, read from the device only on log steps."""

import math

import torch
from accelerate import Accelerator

from gan_dist.checkpoint import Tensors
from gan_dist.step import Outcome


class Diverged(RuntimeError):
    """A loss or a weight is no longer a finite number."""


class Meter:
    """Collects the losses of every step on the device; `read` brings them to the host."""

    def __init__(self, accelerator: Accelerator, log_every: int, first_step: int, dtype: torch.dtype) -> None:
        self.accelerator = accelerator
        self.losses = torch.zeros(log_every, 2, device=accelerator.device, dtype=dtype)
        self.first_step, self.count = first_step, 0

    def update(self, outcome: Outcome) -> None:
        """Keep the losses of one step, without waiting for the device."""
        self.losses[self.count] = torch.stack([outcome.loss_d, outcome.loss_g])
        self.count += 1

    def read(self, outcome: Outcome) -> dict[str, float]:
        """Losses, D's mean logits and sign accuracies at the last step, averaged over all processes.

        Every process must call it. Raises Diverged if any step since the last call had a loss that is not
        finite.
        """
        real, fake = outcome.logits_real, outcome.logits_fake
        right_real, right_fake = (real > 0).to(self.losses), (fake < 0).to(self.losses)
        means = torch.stack([real.mean(), fake.mean(), right_real.mean(), right_fake.mean()])
        numbers = torch.cat([self.losses[: self.count].flatten(), means])
        *losses, logit_real, logit_fake, accuracy_real, accuracy_fake = self.accelerator.reduce(
            numbers, "mean"
        ).tolist()  # the one point between log steps at which the host waits for the device
        for i, loss in enumerate(losses):
            if not math.isfinite(loss):
                name, step = ("loss_d", "loss_g")[i % 2], self.first_step + i // 2
                raise Diverged(f"step {step}: {name} is {loss}; lower learning rates may help")
        self.first_step, self.count = self.first_step + self.count, 0
        return {
            "loss_d": losses[-2],
            "loss_g": losses[-1],
            "logit_real": logit_real,
            "logit_fake": logit_fake,
            "accuracy_real": accuracy_real,
            "accuracy_fake": accuracy_fake,
        }


def check_finite(step: int, tensors: Tensors) -> None:
    """Raise Diverged if a tensor has a number that is not finite."""
    for part, group in tensors.items():
        for name, tensor in group.items():
            if not torch.isfinite(tensor).all():
                raise Diverged(f"step {step}: {part}'s {name} is not finite; lower learning rates may help")
