"""Means and variances over the rows of all processes, of which each may have any number."""

import math
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from gan_dist.distributed.processes import several


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


class _AllGather(torch.autograd.Function):
    """[K] on each process -> [processes, K]. Each process's loss depends on all of it, so its gradient is a sum."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        each = [torch.empty_like(x) for _ in range(dist.get_world_size())]
        dist.all_gather(each, x)
        return torch.stack(each)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return _AllReduceSum.apply(grad)[dist.get_rank()]


def moments(x: Tensor, dims: list[int], alone: bool = False) -> tuple[Tensor, Tensor]:
    """Mean and variance over `dims`, which stay with size 1, and over all processes unless `alone`.

    The gradient may be differentiated again.
    """
    count = math.prod(x.shape[dim] for dim in dims)
    mean = x.sum(dims, keepdim=True) / count
    var = (x - mean).square().sum(dims, keepdim=True) / count  # torch.var_mean takes 2 to 8 times as long
    if alone or not several():
        return mean, var
    whole = over_processes(mean.flatten(), var.flatten(), count)
    return whole[0].view_as(mean), whole[1].view_as(var)


def over_processes(mean: Tensor, var: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Mean [K], variance [K] and count of the rows of this process -> those of all, in one message.

    After Chan et al., "Updating formulae and a pairwise algorithm for computing sample variances", 1979. Sums of x and
    of its square could be summed as easily, but E[x^2] - E[x]^2 loses the digits that float32 has.
    """
    each = _AllGather.apply(torch.cat([mean, var, mean.new_full((1,), count)]))
    (means, variances), counts = each[:, :-1].chunk(2, dim=1), each.detach()[:, -1:]
    total = counts.sum()
    shares = counts / total
    mean = (shares * means).sum(0)
    return mean, (shares * (variances + (means - mean).square())).sum(0), total
