"""Objectives, penalties, augmentation, averages and schedules against their definitions."""

import math

import pytest
import torch
from torch import nn

from gan_dist import models
from gan_dist.adversarial.augment import DRAWS, NAMES, Augment
from gan_dist.adversarial.average import Average
from gan_dist.adversarial.objectives import OBJECTIVES
from gan_dist.adversarial.penalties import Penalties, Penalty
from gan_dist.adversarial.schedule import Schedule

REAL, FAKE = [2.0, -0.5, 0.3], [-1.5, 0.4, 0.9]


def mean(numbers: list[float]) -> float:
    return sum(numbers) / len(numbers)


def log_sigmoid(x: float) -> float:
    return -math.log(1 + math.exp(-x))


# of D, of G, as their papers write them
BY_HAND = {
    "bce": (
        -mean([log_sigmoid(x) for x in REAL]) - mean([log_sigmoid(-x) for x in FAKE]),
        -mean([log_sigmoid(x) for x in FAKE]),
    ),
    "hinge": (
        -mean([min(0, -1 + x) for x in REAL]) - mean([min(0, -1 - x) for x in FAKE]),
        -mean(FAKE),
    ),
    "lsgan": (
        mean([(x - 1) ** 2 for x in REAL]) / 2 + mean([x**2 for x in FAKE]) / 2,
        mean([(x - 1) ** 2 for x in FAKE]) / 2,
    ),
    "wgan-gp": (mean(FAKE) - mean(REAL), -mean(FAKE)),
    "relativistic": (
        -mean([log_sigmoid(x - y) for x, y in zip(REAL, FAKE, strict=True)]),
        -mean([log_sigmoid(y - x) for x, y in zip(REAL, FAKE, strict=True)]),
    ),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_losses_are_their_papers(name: str) -> None:
    real, fake = torch.tensor(REAL).double(), torch.tensor(FAKE).double()
    assert float(OBJECTIVES[name].discriminator(real, fake)) == pytest.approx(BY_HAND[name][0], abs=1e-7)
    assert float(OBJECTIVES[name].generator(fake, real)) == pytest.approx(BY_HAND[name][1], abs=1e-7)


class Quadratic(nn.Module):
    """D(x) = |x|^2 / 2, so that its gradient at x is x."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.square().flatten(1).sum(1) / 2


def test_penalties_are_of_gradients() -> None:
    torch.manual_seed(0)
    real, fake = torch.randn(2, 5, 1, 4, 4).double()
    place = torch.rand(5).double()
    square_real, square_fake = (x.square().flatten(1).sum(1) for x in (real, fake))
    both = Penalties(Quadratic(), Penalty(0.5, 1), Penalty(0.25, 4), 0.0)
    torch.testing.assert_close(sum(both(3, real, fake, (), None)), 0.25 * square_real.mean())
    every_4th = 0.25 * square_real.mean() + 4 * 0.125 * square_fake.mean()
    torch.testing.assert_close(sum(both(4, real, fake, (), None)), every_4th)
    between = Penalties(Quadratic(), Penalty(0.0, 1), Penalty(0.0, 1), 10.0)
    at = place.view(-1, 1, 1, 1)
    length = ((1 - at) * real + at * fake).square().flatten(1).sum(1).sqrt()
    torch.testing.assert_close(sum(between(1, real, fake, (), place)), 10 * (length - 1).square().mean())
    assert Penalties(Quadratic(), Penalty(1.0, 4), Penalty(0.0, 1), 0.0)(3, real, fake, (), None) == []


def test_augmentation_moves_and_cuts() -> None:
    images = torch.rand(1, 2, 16, 16).expand(500, -1, -1, -1) * 2 - 1
    uniform = torch.rand(500, DRAWS)
    moved = Augment(("translation",))(images, uniform)
    shifts = set()
    for before, after in zip(images, moved, strict=True):
        places = [
            (y, x)
            for y in range(-2, 3)
            for x in range(-2, 3)
            if torch.allclose(
                after[:, max(0, y) : 16 + min(0, y), max(0, x) : 16 + min(0, x)],
                before[:, max(0, -y) : 16 + min(0, -y), max(0, -x) : 16 + min(0, -x)],
                atol=1e-6,
            )
        ]
        assert len(places) == 1
        shifts.add(places[0])
        assert (after == -1).sum() >= 2 * 16 * (abs(places[0][0]) + abs(places[0][1])) - 2 * 4  # black comes in
    assert len(shifts) == 25
    cut = Augment(("cutout",))(images, uniform)
    gone = (cut == -1) & (images != -1)
    assert torch.equal(cut[~gone], (images + 1 - 1)[~gone])
    sizes = gone[:, 0].flatten(1).sum(1)
    assert sizes.max() == 64
    assert sizes.min() >= 16
    assert torch.equal(Augment(NAMES)(images, uniform), Augment(NAMES)(images, uniform))


def test_augmentation_has_the_derivatives_that_r1_needs() -> None:
    images = (torch.rand(2, 1, 8, 8).double() * 2 - 1).requires_grad_(True)
    uniform = torch.rand(2, DRAWS).double()
    augment = Augment(NAMES)
    assert torch.autograd.gradcheck(lambda x: augment(x, uniform), images)
    assert torch.autograd.gradgradcheck(lambda x: augment(x, uniform).pow(3), images)


def test_average_is_of_weights_and_statistics() -> None:
    torch.manual_seed(0)
    network = models.load("dcgan").Generator(latent_dim=4, num_classes=3, width=2).double()
    average = Average(network, half_life=1000)
    expected = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    for step in range(1, 6):
        for tensor in network.state_dict().values():
            tensor.add_(1)
        average.update(network, 50, 50 * step)
        keep = 0.5 ** (50 / min(1000, 5 * step))
        for name, tensor in network.state_dict().items():
            whole = not tensor.is_floating_point()
            expected[name] = tensor.clone() if whole else keep * expected[name] + (1 - keep) * tensor
    for name, tensor in average.network.state_dict().items():
        torch.testing.assert_close(tensor, expected[name])
    assert not average.network.training


def test_schedules() -> None:
    assert Schedule("constant", 100).factor(99) == 1
    linear = Schedule("linear", 100, start=0.5)
    assert [linear.factor(seen) for seen in (0, 50, 75, 100, 200)] == [1, 1, 0.5, 0, 0]
    assert [Schedule("linear", 100, end=0.4).factor(seen) for seen in (0, 50, 100, 200)] == [1, 0.7, 0.4, 0.4]
    cosine = Schedule("cosine", 100)
    assert [cosine.factor(seen) for seen in (0, 50, 100)] == pytest.approx([1, 0.5, 0])
    assert [Schedule("constant", 100, warmup=9).factor(seen) for seen in (0, 4, 9, 50)] == [0.1, 0.5, 1, 1]
