"""Layers that look across the global batch, on any backend: torch's SyncBatchNorm refuses CPU tensors."""

import os
from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gan_dist.distributed.moments import moments, over_processes, variance_of_classes
from gan_dist.distributed.processes import several
from gan_dist.errors import UserError


def _at_least_float32(x: Tensor) -> Tensor:
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


class MinibatchStd(nn.Module):
    """Appends a channel that holds the standard deviation over the global batch, averaged over all features.

    x [N, C, ...] -> [N, C + 1, ...]. It shows D how much images differ. Karras et al.,
    "Progressive growing of GANs", ICLR 2018, section 3, with the whole batch as one group.
    """

    def forward(self, x: Tensor) -> Tensor:
        alone = not self.training  # then nothing is asked of the others: samples are drawn by one process
        var = moments(_at_least_float32(x), [0], alone)[1]
        std = (var + 1e-8).sqrt().mean().to(x.dtype)
        return torch.cat([x, torch.ones_like(x[:, :1]) * std], dim=1)  # in the memory format of x


class ClassStd(nn.Module):
    """x [N, K], labels int64 [N] -> [N, K]: the standard deviation of each feature among the rows of the
    same class in the global batch, from the unbiased variance; 1e-4 for a row that is alone.

    It shows D how much the images of a class differ, in each of its features. A network that knows classes can see by
    itself how far they are apart.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        var, count = variance_of_classes(_at_least_float32(x), labels, self.num_classes, alone=not self.training)
        unbiased = var * count / (count - 1).clamp(min=1)
        return (unbiased + 1e-8).sqrt().to(x.dtype)[labels]


class _Normalise(torch.autograd.Function):
    """x [N, C, ...], weight [C], bias [C] -> the same, normalised over the global batch; its mean and biased variance
    [C], and of how many numbers they are.

    With torch's fused kernels, in half of the time that the same takes in single operations.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, ...]:
        own = torch.batch_norm_update_stats(x, None, None, 0.0)  # mean and biased variance of this process
        mean, var, total = over_processes(*own, own[0].new_full((1,), x.numel() // x.shape[1]))
        ctx.save_for_backward(x, weight, bias, mean, var, total)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, var, total)
        return F.batch_norm(x, mean, var, weight, bias, eps=eps), mean, var, total

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, mean, var, total = ctx.saved_tensors
        if torch.is_grad_enabled():  # a gradient penalty will differentiate this gradient
            return *_differentiable_gradients(x, weight, bias, ctx.eps, grad, ctx.needs_input_grad[:3]), None
        # As if mean and variance were constants; then what comes through them, from the rows of all processes.
        with_constants = torch.ops.aten.native_batch_norm_backward
        grad_x, grad_weight, grad_bias = with_constants(
            grad, x, weight, mean, var, None, None, False, ctx.eps, [True] * 3
        )
        sums = torch.stack([grad_bias, grad_weight])
        dist.all_reduce(sums)
        of_mean, of_scale = sums / total
        inverse_std = (var + ctx.eps).rsqrt()
        scale = weight * inverse_std
        slope = -scale * inverse_std * of_scale
        level = -scale * of_mean - slope * mean
        shape = [1, -1] + [1] * (x.dim() - 2)
        return grad_x.addcmul_(x, slope.view(shape)).add_(level.view(shape)), grad_weight, grad_bias, None


def _differentiable_gradients(
    x: Tensor, weight: Tensor, bias: Tensor, eps: float, grad: Tensor, needed: Sequence[bool]
) -> list[Tensor | None]:
    """What `_Normalise.backward` gives, from operations that autograd knows."""
    shape = [1, -1] + [1] * (x.dim() - 2)
    mean, var = moments(x, [0, *range(2, x.dim())])
    out = (x - mean) * (var + eps).rsqrt() * weight.view(shape) + bias.view(shape)
    inputs = [tensor for tensor, is_needed in zip((x, weight, bias), needed, strict=True) if is_needed]
    gradients = iter(torch.autograd.grad(out, inputs, grad, create_graph=True))
    return [next(gradients) if is_needed else None for is_needed in needed]


class GlobalBatchNorm(_BatchNorm):
    """BatchNorm whose training statistics are those of all processes together.

    Input [N, C, ...], with any N on each process. Statistics are kept in float32 or better.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        """Every number of dimensions will do."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        x = _at_least_float32(input)
        weight, bias = (self.weight, self.bias) if self.affine else (x.new_ones(x.shape[1]), x.new_zeros(x.shape[1]))
        out, mean, var, total = _Normalise.apply(x, weight, bias, self.eps)
        self._update_running(mean, var * (total / (total - 1)))
        return out.to(input.dtype)

    def _update_running(self, mean: Tensor, unbiased_var: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        factor = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, factor)
        self.running_var.lerp_(unbiased_var, factor)


def make_global(network: nn.Module) -> None:
    """Make every BatchNorm in `network` a GlobalBatchNorm, in place; state-dict keys stay.

    A subclass keeps its own forward, and what that asks of BatchNorm's (`super().forward`) becomes global; one that
    calls `torch.nn.functional.batch_norm` itself stays as it is. In a single process nothing changes: the batch is the
    global batch, and torch's own is faster.

    Call it after the Accelerator is made, which joins the processes, and before it prepares the network. Raises
    UserError before that.
    """
    if not dist.is_initialized() and int(os.environ.get("WORLD_SIZE") or 1) > 1:
        raise UserError("make_global: the processes of this job have not joined yet; make the Accelerator first")
    if not several():
        return
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            kind = type(module)
            is_torchs = kind.__module__ == _BatchNorm.__module__
            # The classes of a subclass are asked in the order of this tuple, before the _BatchNorm that all share.
            bases = (GlobalBatchNorm,) if is_torchs else (kind, GlobalBatchNorm)
            module.__class__ = type(f"Global{kind.__name__}", bases, {})
