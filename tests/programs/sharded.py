"""Launched in 2 processes: a step over networks that torch shards (fully_shard) against one over copies of them in DDP.

Prints the largest difference of a weight after 20 steps in float64, and the messages of a sharded step.
"""

import copy
import json

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.profiler import ProfilerActivity, profile

from gan_dist import AdversarialStep, Batch, ScaledOptimizer, make_adam
from gan_dist.errors import exit_now
from gan_dist.models.linear import Discriminator, Generator


def step_over(generator: nn.Module, discriminator: nn.Module, raw: tuple[nn.Module, nn.Module]) -> AdversarialStep:
    optimizers = [ScaledOptimizer(network, make_adam(network, 2e-4, (0.5, 0.999))) for network in raw]
    step = AdversarialStep(generator, discriminator, *optimizers)
    step.apart = False  # to find it out it would change and restore weights, which sharded ones do not allow
    return step


def weights(networks: tuple[nn.Module, nn.Module]) -> Tensor:
    parameters = [parameter for network in networks for parameter in network.parameters()]
    return torch.cat([(p.full_tensor() if isinstance(p, DTensor) else p).detach().flatten() for p in parameters])


if __name__ == "__main__":
    accelerator = Accelerator(cpu=True)
    torch.manual_seed(0)
    whole = Generator().double(), Discriminator().double()
    parts = copy.deepcopy(whole)
    for network in parts:
        fully_shard(network, mesh=init_device_mesh("cpu", (accelerator.num_processes,)))
    generator, discriminator = accelerator.prepare(*whole)
    steps = step_over(generator, discriminator, whole), step_over(parts[0], parts[1], parts)
    num, draws = 64 // accelerator.num_processes, torch.Generator().manual_seed(1)
    mine = slice(accelerator.process_index * num, (accelerator.process_index + 1) * num)
    for _ in range(20):
        real = torch.rand(64, 1, 28, 28, generator=draws, dtype=torch.float64) * 2 - 1
        batch = Batch(real[mine], torch.randn(64, 100, generator=draws, dtype=torch.float64)[mine])
        steps[0](batch)
        with profile(activities=[ProfilerActivity.CPU]) as seen:
            steps[1](batch)
    messages = {event.key: event.count for event in seen.key_averages() if event.key.startswith("c10d::")}
    difference = float((weights(whole) - weights(parts)).abs().max())
    if accelerator.is_main_process:
        print(json.dumps({"difference": difference, "messages": messages}))
    exit_now(0)
