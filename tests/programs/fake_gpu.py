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
from gan_dist.metrics import Meter
from gan_dist.networks import make_adam
from gan_dist.precision import Update
from gan_dist.step import AdversarialStep, Batch


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
    update_g, update_d = (
        Update(network, make_adam(network, 1e-3, (0.5, 0.9)), GradScaler("gpu", enabled=scaled), 1.0)
        for network in (on_gpu(pair.Generator()), on_gpu(pair.Discriminator()))
    )
    step = AdversarialStep(update_g.network, update_d.network, update_g, update_d, accumulate)
    meter = Meter(accelerator, 2, 1, torch.float32)
    for _ in range(2):
        result = step(Batch(torch.empty(8, 1, 28, 28, device="gpu"), torch.empty(8, 100, device="gpu")))
        meter.update(result)
    for tensor in [*result, meter.losses]:
        assert tensor is not None  # with clipping there are norms
        assert tensor.device.type == "gpu"
    print(model, accumulate, update_g.scaler.is_enabled())


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
