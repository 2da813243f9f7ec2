"""An optimizer with its loss scaler, so that the step is the same code in every precision."""

import inspect

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.nn.utils import clip_grad_norm_
from torch.optim import Adam, Optimizer


class ScaledOptimizer:
    """The optimizer of one network, with a loss scaler of its own.

    A scaler that both networks share would halve its scale for both when one overflows, grow twice as fast, and
    unscale the gradients of one with the scale of the other.

    network: before Accelerate prepares it. optimizer: over its parameters that are not frozen. scaler: for fp16; one
    that is switched off, or None, does nothing. max_norm: gradients are clipped to this Euclidean norm, if not None.
    """

    def __init__(
        self,
        network: nn.Module,
        optimizer: Optimizer,
        scaler: GradScaler | None = None,
        max_norm: float | None = None,
    ) -> None:
        self.network, self.optimizer = network, optimizer
        self.scaler, self.max_norm = scaler or GradScaler(enabled=False), max_norm

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a scalar loss."""
        self.scaler.scale(loss).backward()

    def step(self) -> Tensor | None:
        """Update the weights, unless a gradient overflowed -> norm of the gradient before clipping."""
        self.scaler.unscale_(self.optimizer)
        norm = None
        if self.max_norm is not None:
            norm = clip_grad_norm_(self.network.parameters(), self.max_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return norm

    def zero_grad(self) -> None:
        """Clear the gradients."""
        self.optimizer.zero_grad()

    def tensors(self) -> dict[str, Tensor]:
        """{name: live tensor} of the optimizer's state. Only `make_adam` has all of it before the first step."""
        return {
            f"{name}.{key}": tensor
            for name, parameter in self.network.named_parameters()
            if parameter in self.optimizer.state
            for key, tensor in self.optimizer.state[parameter].items()
        }


class _Adam(Adam):
    """torch's, with its methods as they were before torch decorated them.

    The decorators import `torch._dynamo`, torch's compiler, which takes one to two seconds at each start.
    """

    add_param_group = inspect.unwrap(Adam.add_param_group)
    zero_grad = inspect.unwrap(Adam.zero_grad)
    step = torch.no_grad()(inspect.unwrap(Adam.step))


def make_adam(network: nn.Module, lr: float, betas: tuple[float, float] = (0.5, 0.999)) -> Adam:
    """Adam for the parameters that are not frozen, once they are on their device.

    lr: learning rate. betas: decay rates of its two moments; the default is that of DCGAN (Radford et al., ICLR 2016).
    """
    parameters = [p for p in network.parameters() if p.requires_grad]
    optimizer = _Adam(parameters, lr, betas, fused=True)
    # The state that Adam would make in its first step, here already, so that a checkpoint can be loaded into it.
    for p in parameters:
        step = torch.zeros((), dtype=torch.float32, device=p.device)
        optimizer.state[p] = {"step": step, "exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)}
    return optimizer
