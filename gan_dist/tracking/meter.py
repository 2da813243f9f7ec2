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

    log_every: usual steps between two reads; first_step: the step of the first `update`; dtype: of the losses;
    boundary: of the objective.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        accelerator: Accelerator,
        log_every: int,
        first_step: int,
        dtype: torch.dtype = torch.float32,
        boundary: float | None = 0.0,
    ) -> None:
        self.boundary = boundary
        self.generator, self.discriminator, self.accelerator = generator, discriminator, accelerator
        self.losses = torch.zeros(min(log_every, 1000), 2, device=accelerator.device, dtype=dtype)
        self.first_step, self.count = first_step, 0
        self.penalty: Tensor | None = None  # the last one since the last row
        self.steps_read = 0  # of which the last `read` told

    def update(self, result: StepResult) -> None:
        """Keep the losses of one step, without waiting for the device."""
        if self.count == len(self.losses):  # an interval may be longer than the run, and than memory
            self.losses = torch.cat([self.losses, torch.zeros_like(self.losses)])
        self.losses[self.count] = torch.stack([result.loss_d, result.loss_g])
        self.count += 1
        if result.penalty is not None:
            self.penalty = result.penalty

    def read(self, result: StepResult) -> dict[str, float]:
        """Losses, D's mean logits and accuracies, and norms of gradients at the last step, over all processes.

        Every process must call it. Raises Diverged if any step since the last call had a loss that is not
        finite.
        """
        real, fake = result.logits_real, result.logits_fake
        above, below = (fake, real) if self.boundary is None else (self.boundary, self.boundary)
        last = {
            "logit_real": real.mean() * result.weight,
            "logit_fake": fake.mean() * result.weight,
            "accuracy_real": (real > above).to(self.losses).mean() * result.weight,
            "accuracy_fake": (fake < below).to(self.losses).mean() * result.weight,
            "grad_norm_d": _gradient_norm(self.discriminator) if result.grad_norm_d is None else result.grad_norm_d,
            "grad_norm_g": _gradient_norm(self.generator) if result.grad_norm_g is None else result.grad_norm_g,
        }
        if self.penalty is not None:
            last["penalty_d"], self.penalty = self.penalty, None
        now = torch.stack([number.to(self.losses) for number in last.values()])
        numbers = torch.cat([self.losses[: self.count].flatten(), now])
        # The one point between log steps at which the host waits for the device.
        means = self.accelerator.reduce(numbers, "mean").tolist()
        losses = means[: 2 * self.count]
        for i, loss in enumerate(losses):
            if not math.isfinite(loss):
                name, step = ("loss_d", "loss_g")[i % 2], self.first_step + i // 2
                raise Diverged(step, f"{name} is {loss}")
        self.steps_read = self.count
        row = dict(zip(["loss_d", "loss_g", *last], losses[-2:] + means[len(losses) :], strict=True))
        self.first_step, self.count = self.first_step + self.count, 0
        # With fp16 a gradient may overflow, and the step is skipped; JSON has no infinity.
        return {name: number for name, number in row.items() if math.isfinite(number)}


def _gradient_norm(network: nn.Module) -> Tensor:
    """Of the gradients that the last update used, which are still there."""
    return get_total_norm([p.grad for p in network.parameters() if p.grad is not None])
