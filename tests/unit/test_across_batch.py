"""Discriminators that look across their batch, and networks of which a part is frozen: as in a plain loop."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.nn.utils import parametrizations

from gan_dist import models
from gan_dist.adversarial.objectives import discriminator_loss, generator_loss
from gan_dist.adversarial.optimizer import ScaledOptimizer
from gan_dist.adversarial.step import AdversarialStep, Batch
from gan_dist.models._behaviour import looks_across_batch
from gan_dist.training.state import make_adam


class MinibatchDeviation(nn.Module):
    """Appends the mean standard deviation over the batch (Karras et al., "Progressive growing of GANs", 2018)."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, x.std(0).mean().expand(len(x), 1)], 1)


def discriminator(*middle: nn.Module, width: int = 16) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 16), *middle, nn.Linear(width, 1), nn.Flatten(0))


DISCRIMINATORS: dict[str, tuple[Callable[[], nn.Module], bool]] = {
    "linear": (models.load("linear").Discriminator, False),
    "conv": (models.load("conv").Discriminator, False),
    "batchnorm": (lambda: discriminator(nn.BatchNorm1d(16)), True),
    "minibatch deviation": (lambda: discriminator(MinibatchDeviation(), width=17), True),
    "layernorm": (lambda: discriminator(nn.LayerNorm(16)), False),
    "dropout": (lambda: discriminator(nn.Dropout(0.5)), False),
    "spectral norm": (lambda: discriminator(parametrizations.spectral_norm(nn.Linear(16, 16))), False),
}


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_what_looks_across_the_batch(name: str) -> None:
    make, looks = DISCRIMINATORS[name]
    network = make()
    before = [t.clone() for t in network.state_dict().values()]
    generator_state = torch.get_rng_state()
    assert looks_across_batch(network, [torch.zeros(6, 1, 28, 28)]) == looks
    assert all(torch.equal(a, b) for a, b in zip(before, network.state_dict().values(), strict=True))
    assert torch.equal(torch.get_rng_state(), generator_state)


def train(discriminator: nn.Module, freeze: list[nn.Parameter], plain: bool) -> list[Tensor]:
    """Three steps, by this project's step or by a plain loop -> all tensors of both networks."""
    torch.manual_seed(1)
    networks = models.load("linear").Generator(latent_dim=8).double(), discriminator.double()
    for parameter in freeze:
        parameter.requires_grad_(False)
    off = GradScaler("cpu", enabled=False)
    optimizer_g, optimizer_d = (ScaledOptimizer(n, make_adam(n, 1e-3, (0.5, 0.999)), off, None) for n in networks)
    step = AdversarialStep(*networks, optimizer_g, optimizer_d)
    for _ in range(3):
        real, noise = torch.rand(4, 1, 28, 28).double() * 2 - 1, torch.randn(4, 8).double()
        if not plain:
            step(Batch(real, noise))
            continue
        fake = networks[0](noise)
        optimizer_d.zero_grad()
        discriminator_loss(networks[1](real), networks[1](fake.detach())).backward()
        optimizer_d.optimizer.step()
        optimizer_g.zero_grad()
        generator_loss(networks[1](fake), real).backward()
        optimizer_g.optimizer.step()
    return [t for network in networks for t in network.state_dict().values()]


@pytest.mark.parametrize("name", ["batchnorm", "minibatch deviation"])
def test_real_and_generated_images_are_not_mixed(name: str) -> None:
    """BatchNorm's running statistics too: D sees real, generated and, in G's update, generated images again."""
    results = []
    for plain in (False, True):
        torch.manual_seed(0)
        results.append(train(DISCRIMINATORS[name][0](), [], plain))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def test_frozen_part_stays_frozen() -> None:
    results = []
    for plain in (False, True):
        torch.manual_seed(0)
        network = discriminator()
        frozen = network[1].weight  # type: ignore[index]
        before = frozen.detach().double()
        results.append(train(network, [frozen], plain))
        assert torch.equal(frozen, before)
        assert not frozen.requires_grad
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)
