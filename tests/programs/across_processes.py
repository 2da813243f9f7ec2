"""Launched with 2 processes: which layers give results that depend on where the rows of a batch are."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_dist import ClassStd, MinibatchStd
from gan_dist.distributed.batchnorm import make_global
from gan_dist.distributed.processes import make_accelerator
from gan_dist.errors import exit_now
from gan_dist.models._behaviour import depends_on_processes


class Doubled(nn.BatchNorm1d):
    """Asks BatchNorm."""

    def forward(self, input: Tensor) -> Tensor:
        return 2 * super().forward(input)


class Local(nn.BatchNorm1d):
    """Does it on its own."""

    def forward(self, input: Tensor) -> Tensor:
        return F.batch_norm(input, None, None, self.weight, self.bias, training=self.training)


class Deviation(nn.Module):
    """Of the rows that it sees."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, x.std(0).mean().expand(len(x), 1)], dim=1)


class WithinClasses(nn.Module):
    """The deviation among the rows of a class."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.spread = nn.Linear(4, 6), ClassStd(3)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        return self.spread(self.linear(x), labels)


def depends(*layers: nn.Module) -> bool:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 6), *layers)
    make_global(network)
    return depends_on_processes(network, [torch.zeros(8, 4)])


if __name__ == "__main__":
    accelerator = make_accelerator()
    assert not depends(nn.BatchNorm1d(6), nn.Dropout(0.5), MinibatchStd())
    assert not depends(Doubled(6))
    labels = (torch.arange(8) + accelerator.process_index) % 3
    assert not depends_on_processes(WithinClasses(), [torch.zeros(8, 4), labels])
    assert depends(Local(6))
    assert depends(nn.BatchNorm1d(6), nn.Linear(6, 6), Local(6))
    assert depends(nn.BatchNorm1d(6), nn.LeakyReLU(), nn.Linear(6, 6), Deviation(), nn.Linear(7, 1))
    accelerator.wait_for_everyone()
    exit_now(0)
