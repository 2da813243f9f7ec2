"""Steps on a device that only has shapes and types, where a tensor that is on the CPU by mistake raises.

Not under autocast, which such a device does not have.
Prints a line for each pair of networks, number of parts and use of loss scalers.
"""

import itertools

import torch
from accelerate import Accelerator
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.amp import GradScaler
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from gan_dist import models
from gan_dist.adversarial.optimizer import ScaledOptimizer
from gan_dist.adversarial.step import AdversarialStep, Batch
from gan_dist.tracking.meter import Meter
from gan_dist.training.state import make_adam


def on_gpu(network: nn.Module) -> nn.Module:
    for module in network.modules():
        for name, p in list(module.named_parameters(recurse=False)):
            module.register_parameter(name, nn.Parameter(torch.empty(p.shape, device="gpu")))
        for name, b in list(module.named_buffers(recurse=False)):
            module.register_buffer(name, torch.empty(b.shape, dtype=b.dtype, device="gpu"))
    return network


def run(model: str, accumulate: int, scaled: bool) -> None:
    accelerator = Accelerator(cpu=True)
    accelerator.state.device = torch.device("gpu")
    pair = models.load(model)
    optimizer_g, optimizer_d = (
        ScaledOptimizer(network, make_adam(network, 1e-3, (0.5, 0.9)), GradScaler("gpu", enabled=scaled), 1.0)
        for network in (on_gpu(pair.Generator()), on_gpu(pair.Discriminator()))
    )
    step = AdversarialStep(optimizer_g.network, optimizer_d.network, optimizer_g, optimizer_d, accumulate)
    meter = Meter(optimizer_g.network, optimizer_d.network, accelerator, log_every=2, first_step=1)
    for _ in range(2):
        result = step(Batch(torch.empty(8, 1, 28, 28, device="gpu"), torch.empty(8, 100, device="gpu")))
        meter.update(result)
    for tensor in [*result, meter.losses]:
        assert tensor is not None  # with clipping there are norms
        assert tensor.device.type == "gpu"
    print(model, accumulate, optimizer_g.scaler.is_enabled())


if __name__ == "__main__":
    _setup_privateuseone_for_python_backend("gpu")
    for case in itertools.product(models.names(), (1, 2), (False, True)):
        with FakeTensorMode():
            run(*case)
    with FakeTensorMode():
        try:
            torch.ones(2, device="gpu") + torch.ones(2)
        except RuntimeError as error:
            print(error)
