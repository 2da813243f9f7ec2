"""Layers that look across the global batch, on any backend: torch's SyncBatchNorm refuses CPU tensors."""

import math
import os
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gan_dist.distributed.processes import several
from gan_dist.errors import UserError


class _AllReduceSum(torch.autograd.Function):
    """The sum over all processes. Each process's loss depends on it, so its gradient is a sum as well."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        x = x.clone()
        dist.all_reduce(x)
        return x

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return _AllReduceSum.apply(grad)


def _moments(x: Tensor, dims: list[int], alone: bool = False) -> tuple[Tensor, Tensor, Tensor, int]:
    """Mean and variance over `dims` and all processes, x less its mean, and of how many numbers each mean is."""
    together = several() and not alone
    add = _AllReduceSum.apply if together else (lambda total: total)
    count = math.prod(x.shape[dim] for dim in dims) * (dist.get_world_size() if together else 1)
    mean = add(x.sum(dims, keepdim=True)) / count
    centred = x - mean
    # The centred squares: E[x^2] - E[x]^2 would lose the digits that float32 has.
    return mean, add(centred.square().sum(dims, keepdim=True)) / count, centred, count


def _at_least_float32(x: Tensor) -> Tensor:
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


class MinibatchStd(nn.Module):
    """Appends a channel that holds the standard deviation over the global batch, averaged over all features.

    x [N, C, ...] -> [N, C + 1, ...], with the same N on each process. It shows D how much images differ. Karras et al.,
    "Progressive growing of GANs", ICLR 2018, section 3, with the whole batch as one group.
    """

    def forward(self, x: Tensor) -> Tensor:
        # In eval mode nothing is asked of the others: samples are drawn by one process.
        _, var, _, _ = _moments(_at_least_float32(x), [0], alone=not self.training)
        std = (var + 1e-8).sqrt().mean().to(x.dtype)
        return torch.cat([x, std.expand(len(x), 1, *x.shape[2:])], dim=1)


class GlobalBatchNorm(_BatchNorm):
    """BatchNorm whose training statistics are those of all processes together.

    Input [N, C, ...], with the same N on each process. Statistics are kept in float32 or better.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        """Every number of dimensions will do."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        x = _at_least_float32(input)
        mean, var, centred, count = _moments(x, [0, *range(2, x.dim())])
        self._update_running(mean.detach().flatten(), var.detach().flatten() * (count / (count - 1)))
        out = centred * (var + self.eps).rsqrt()
        shape = [1, -1] + [1] * (x.dim() - 2)
        if self.affine:
            out = out * self.weight.view(shape) + self.bias.view(shape)
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
