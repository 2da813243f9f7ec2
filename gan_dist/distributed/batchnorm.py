"""BatchNorm over the global batch, on any backend: torch's SyncBatchNorm refuses CPU tensors."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


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


class GlobalBatchNorm(_BatchNorm):
    """BatchNorm whose training statistics are those of all processes together.

    Input [N, C, ...], with the same N on each process. Statistics are kept in float32 or better.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        """Every number of dimensions will do."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        x = input.float() if input.dtype in (torch.bfloat16, torch.float16) else input
        dims = [0, *range(2, x.dim())]
        shape = [1, -1] + [1] * (x.dim() - 2)
        count = x.numel() // x.shape[1] * dist.get_world_size()
        mean = _AllReduceSum.apply(x.sum(dims)) / count
        centred = x - mean.view(shape)
        # The centred squares: E[x^2] - E[x]^2 would lose the digits that float32 has.
        var = _AllReduceSum.apply(centred.square().sum(dims)) / count
        self._update_running(mean.detach(), var.detach() * (count / (count - 1)))
        out = centred * (var + self.eps).rsqrt().view(shape)
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
    """
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            kind = type(module)
            is_torchs = kind.__module__ == _BatchNorm.__module__
            # The classes of a subclass are asked in the order of this tuple, before the _BatchNorm that all share.
            bases = (GlobalBatchNorm,) if is_torchs else (kind, GlobalBatchNorm)
            module.__class__ = type(f"Global{kind.__name__}", bases, {})
