"""How a network behaves, found out without changing it."""

import contextlib
from collections.abc import Iterator, Sequence

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextlib.contextmanager
def unchanged(network: nn.Module) -> Iterator[None]:
    """Context for forwards that must leave no trace: the state of `network` and torch's generators are as before.

    Parameters too: there are spectral norms that keep their vectors in frozen ones, and change them in each forward.
    """
    kept = [tensor.detach().clone() for tensor in _state(network)]
    gpus = {p.device for p in network.parameters() if p.device.type == "cuda"}
    with torch.random.fork_rng(gpus):
        yield
    with torch.no_grad():
        for tensor, value in zip(_state(network), kept, strict=True):
            tensor.copy_(value)


@contextlib.contextmanager
def looking(network: nn.Module) -> Iterator[None]:
    """Context for drawing images: eval mode, without gradients, and afterwards everything is as before."""
    modes = [(module, module.training) for module in network.modules()]  # somebody may keep a part in eval mode
    network.eval()
    with torch.no_grad(), unchanged(network):
        yield
    for module, is_training in modes:
        module.training = is_training


def _state(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]


@torch.no_grad()
def looks_across_batch(network: nn.Module, inputs: Sequence[Tensor]) -> bool:
    """Whether a row of the output, or what a forward keeps, depends on other rows of the first of the inputs [N, ...],
    as with BatchNorm in training.
    """
    if any(isinstance(module, _BatchNorm) for module in network.modules()):  # even if it starts out with zero weights
        return True
    first, *labels = inputs
    others = first.clone()
    others[1:] = torch.linspace(-1, 1, others[1:].numel(), dtype=first.dtype).view_as(others[1:])
    results = []
    for batch in (first, others):
        with unchanged(network):
            torch.manual_seed(0)  # the same Dropout both times
            row = network(batch, *labels)[0]
            results.append([row, *(tensor.clone() for tensor in _state(network))])
    return not all(map(torch.equal, *results))


@torch.no_grad()
def depends_on_processes(network: nn.Module, inputs: Sequence[Tensor]) -> bool:
    """Whether a row of the output depends on which of two or more processes the other rows of the batch are on.

    Every process must call it.
    """
    first, *labels = inputs
    labels = [torch.zeros_like(each) for each in labels]  # one class, or the rows of a process would be told by theirs
    results = []
    for shift in range(2):  # the rows of the next process, in the second forward
        with unchanged(network):
            seed = (dist.get_rank() + shift) % dist.get_world_size()
            torch.manual_seed(seed)
            others = torch.randn(first[1:].shape, dtype=first.dtype).to(first.device) * (10 if seed % 2 else 1)
            torch.manual_seed(0)  # the same Dropout both times
            results.append(network(torch.cat([first[:1], others]), *labels).float())
    one, other = results
    return bool((one[0] - other[0]).abs().max() > 0.05 * one.abs().max())  # less may be rounding, in bf16


@torch.no_grad()
def draws_random_numbers(network: nn.Module, inputs: Sequence[Tensor]) -> bool:
    """Whether a forward draws from torch's generator, as with Dropout in training."""
    with unchanged(network):
        before = torch.get_rng_state(), _gpu_state(inputs[0])
        network(*inputs)
        after = torch.get_rng_state(), _gpu_state(inputs[0])
    return not all(map(torch.equal, before, after))


def _gpu_state(inputs: Tensor) -> Tensor:
    return torch.cuda.get_rng_state(inputs.device) if inputs.is_cuda else torch.empty(0)
