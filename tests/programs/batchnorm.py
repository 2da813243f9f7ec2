"""Launched with several processes: GlobalBatchNorm on shards against torch's BatchNorm on the whole batch."""

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from gan_dist.distributed.batchnorm import GlobalBatchNorm, make_global
from gan_dist.distributed.processes import make_accelerator
from gan_dist.errors import exit_now


class Doubled(nn.BatchNorm2d):
    """One with a forward of its own."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(input)


def compare(make_norm: type[_BatchNorm], dtype: torch.dtype, shape: tuple[int, ...], device: torch.device) -> float:
    """The largest difference of outputs, gradients, their gradients and running statistics after two batches."""
    torch.manual_seed(0)
    rank, world = dist.get_rank(), dist.get_world_size()
    whole = nn.Sequential(make_norm(shape[1])).to(device, dtype)
    shard = nn.Sequential(make_norm(shape[1])).to(device, dtype)
    make_global(shard)
    assert isinstance(shard[0], GlobalBatchNorm)
    assert shard.state_dict().keys() == whole.state_dict().keys()
    sizes = [shape[0] - (world - 1), *[1] * (world - 1)]  # BatchNorm counts rows, not processes
    worst = 0.0
    for _ in range(2):
        x = (torch.randn(shape, dtype=dtype) * 3 + 10).to(device).requires_grad_()
        weight = torch.randn(shape, dtype=dtype).to(device)
        mine = x.detach().split(sizes)[rank].requires_grad_()
        out, out_shard = whole(x), shard(mine)
        (out * weight).sum().backward()
        (out_shard * weight.split(sizes)[rank]).sum().backward()
        assert x.grad is not None
        assert mine.grad is not None
        pairs = [(out.split(sizes)[rank], out_shard), (x.grad.split(sizes)[rank], mine.grad)]
        # As a gradient penalty does: the gradient of the squares of a gradient.
        curved, curved_shard = x.detach().requires_grad_(), mine.detach().requires_grad_()
        for network, rows, factor in ((whole, curved, weight), (shard, curved_shard, weight.split(sizes)[rank])):
            (gradient,) = torch.autograd.grad((network(rows) * factor).square().sum(), rows, create_graph=True)
            gradient.square().sum().backward()
        assert curved.grad is not None
        assert curved_shard.grad is not None
        pairs.append((curved.grad.split(sizes)[rank], curved_shard.grad))
        for p, q in zip(whole.parameters(), shard.parameters(), strict=True):
            assert p.grad is not None
            assert q.grad is not None
            summed = q.grad.clone()
            dist.all_reduce(summed)
            pairs.append((p.grad, summed))
        pairs += list(zip(whole.buffers(), shard.buffers(), strict=True))
        worst = max(
            [worst, *(float((a - b).detach().abs().max() / b.detach().abs().max().clamp(min=1)) for a, b in pairs)]
        )
    shard.eval()
    whole.eval()
    if rank == 0:  # alone: in eval mode nothing is asked of the others
        worst = max(worst, float((shard(x) - whole(x)).detach().abs().max()))
    return worst


if __name__ == "__main__":
    accelerator = make_accelerator()
    for dtype in (torch.float64, torch.float32):
        for kind, shape in ((nn.BatchNorm1d, (32, 5)), (nn.BatchNorm2d, (16, 3, 8, 8)), (Doubled, (16, 3, 8, 8))):
            worst = torch.tensor(compare(kind, dtype, shape, accelerator.device), device=accelerator.device)
            dist.all_reduce(worst, dist.ReduceOp.MAX)
            if accelerator.is_main_process:
                print(f"{str(dtype).removeprefix('torch.')} {kind.__name__} {worst.item():.3e}")
    exit_now(0)
