"""Steps on a device that only has shapes and types, where a tensor that is on the CPU by mistake raises.

Not under autocast, which such a device does not have.
Prints a line for each pair of networks, number of parts and use of loss scalers.
"""

import itertools
from collections.abc import Callable

import torch
from accelerate import Accelerator
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily
from torch.amp import GradScaler
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from gan_dist import models
from gan_dist.adversarial.augment import NAMES, Augment
from gan_dist.adversarial.average import Average
from gan_dist.adversarial.optimizer import ScaledOptimizer
from gan_dist.adversarial.penalties import Penalties, Penalty
from gan_dist.adversarial.step import DRAWS_OF_A_STEP, AdversarialStep, Batch
from gan_dist.tracking.meter import Meter
from gan_dist.training.state import make_adam


def on_gpu(kind: Callable[..., nn.Module], **arguments: int) -> nn.Module:
    """A network, made with numbers, since one without cannot change the memory format of its weights."""
    with unset_fake_temporarily():
        network = kind(**arguments)
    for module in network.modules():
        for name, p in list(module.named_parameters(recurse=False)):
            module.register_parameter(name, nn.Parameter(torch.empty(p.shape, device="gpu")))
        for name, b in list(module.named_buffers(recurse=False)):
            module.register_buffer(name, torch.empty(b.shape, dtype=b.dtype, device="gpu"))
    return network


def run(model: str, accumulate: int, scaled: bool) -> None:
    accelerator = Accelerator(cpu=True)
    accelerator.state.device = torch.device("gpu")
    pair, num_classes = models.load(model), 10 if model == "dcgan" else 0
    classes = {"num_classes": num_classes} if num_classes else {}
    optimizer_g, optimizer_d = (
        ScaledOptimizer(network, make_adam(network, 1e-3, (0.5, 0.9)), GradScaler("gpu", enabled=scaled), 1.0)
        for network in (on_gpu(pair.Generator, **classes), on_gpu(pair.Discriminator, **classes))
    )
    generator, discriminator = optimizer_g.network, optimizer_d.network
    penalties = Penalties(discriminator, Penalty(1.0, 1), Penalty(1.0, 1), between=1.0)
    step = AdversarialStep(
        generator,
        discriminator,
        optimizer_g,
        optimizer_d,
        accumulate=accumulate,
        penalties=penalties,
        augment=Augment(NAMES),
        num_classes=num_classes,
        mismatch=float(num_classes > 0),
        mismatch_all=accumulate > 1,
    )
    step.apart = False  # to find it out takes numbers
    average = Average(nn.Identity(), 100)
    average.network = on_gpu(pair.Generator, **classes)  # a deep copy of such tensors would copy their mode, too
    latent_dim = generator.latent_dim
    assert isinstance(latent_dim, int)
    meter = Meter(optimizer_g.network, optimizer_d.network, accelerator, log_every=2, first_step=1)
    for _ in range(2):
        real, noise = torch.empty(8, 1, 28, 28, device="gpu"), torch.empty(8, latent_dim, device="gpu")
        labels = torch.empty(8, dtype=torch.int64, device="gpu")
        uniform = torch.empty(8, DRAWS_OF_A_STEP, device="gpu")
        result = step(Batch(real, noise, (labels,) if num_classes else (), uniform))
        meter.update(result)
        average.update(generator, 8, 8)
    for tensor in [*result[:-1], meter.losses]:
        assert isinstance(tensor, torch.Tensor)  # with clipping there are norms
        assert tensor.device.type == "gpu"
    print(model, accumulate, optimizer_g.scaler.is_enabled())


if __name__ == "__main__":
    _setup_privateuseone_for_python_backend("gpu")
    with FakeTensorMode():
        for case in itertools.product(models.names(), (1, 2), (False, True)):
            run(*case)
        try:
            torch.ones(2, device="gpu") + torch.ones(2)
        except RuntimeError as error:
            print(error)
