"""Means and variances over the rows of all processes, of which each may have any number."""

import math
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
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
    whole = over_processes(mean.flatten(), var.flatten(), mean.new_full((1,), count))
    return whole[0].view_as(mean), whole[1].view_as(var)


def variance_of_classes(x: Tensor, labels: Tensor, num_classes: int, alone: bool = False) -> tuple[Tensor, Tensor]:
    """x [N, K], labels int64 [N] -> the variance within each class [num_classes, K], and its number of rows
    [num_classes, 1], over all processes unless `alone`.

    The variance of a class with no row is 0. The gradient may be differentiated again.
    """
    members = F.one_hot(labels, num_classes).to(x.dtype)  # [N, num_classes]
    count = members.sum(0)
    shares = members.T / count.clamp(min=1)[:, None]
    mean = shares @ x
    var = shares @ (x - mean[labels]).square()
    if not alone and several():
        _, flat, count = over_processes(mean.flatten(), var.flatten(), count)
        var = flat.view_as(var)
    return var, count[:, None]


def over_processes(mean: Tensor, var: Tensor, count: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Means [K], variances [K] and counts [C] of the rows of this process -> those of all, in one message.

    C divides K: the first K / C numbers are of as many rows as the first count says, and so on.

    After Chan et al., "Updating formulae and a pairwise algorithm for computing sample variances", 1979. Sums of x and
    of its square could be summed as easily, but E[x^2] - E[x]^2 loses the digits that float32 has.
    """
    each = _AllGather.apply(torch.cat([mean, var, count]))
    (means, variances), counts = each[:, : -len(count)].chunk(2, dim=1), each.detach()[:, -len(count) :]
    total = counts.sum(0)
    shares = (counts / total.clamp(min=1)).repeat_interleave(len(mean) // len(count), dim=1)
    mean = (shares * means).sum(0)
    return mean, (shares * (variances + (means - mean).square())).sum(0), total
