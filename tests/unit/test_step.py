"""The step: the article's procedure, with nothing computed in vain."""

import math

import pytest
import torch
from torch import nn
from torch.amp import GradScaler

from gan_dist import models
from gan_dist.adversarial.finite import Diverged, check_finite
from gan_dist.adversarial.objectives import discriminator_loss, generator_loss
from gan_dist.adversarial.optimizer import ScaledOptimizer, make_adam
from gan_dist.adversarial.step import DRAWS_OF_A_STEP, AdversarialStep, Batch

MODELS = models.names()


def make(model: str) -> tuple[nn.Module, nn.Module, AdversarialStep]:
    torch.manual_seed(0)
    pair = models.load(model)
    generator, discriminator = pair.Generator(latent_dim=8).double(), pair.Discriminator().double()
    off = GradScaler("cpu", enabled=False)
    optimizer_g, optimizer_d = (
        ScaledOptimizer(network, torch.optim.Adam(network.parameters(), lr=1e-3), off, None)
        for network in (generator, discriminator)
    )
    return generator, discriminator, AdversarialStep(generator, discriminator, optimizer_g, optimizer_d)


@pytest.mark.parametrize("model", MODELS)
def test_pair_has_the_agreed_shapes(model: str) -> None:
    generator, discriminator, _ = make(model)
    images = generator(torch.randn(3, 8).double())
    assert images.shape == (3, 1, 28, 28)
    assert images.abs().max() <= 1
    assert discriminator(images).shape == (3,)
    assert torch.equal(discriminator.probability(images), discriminator(images).sigmoid())  # type: ignore[operator]


def test_losses_are_the_articles() -> None:
    real, fake = torch.randn(2, 64).double() * 3
    bce = nn.BCELoss()
    ones, zeros = torch.ones(64).double(), torch.zeros(64).double()
    torch.testing.assert_close(discriminator_loss(real, fake), bce(real.sigmoid(), ones) + bce(fake.sigmoid(), zeros))
    torch.testing.assert_close(generator_loss(fake, real), bce(fake.sigmoid(), ones))


@pytest.mark.parametrize("model", MODELS)
def test_step_is_the_textbooks(model: str) -> None:
    """Against the usual script: two forwards of D, G through D, both with all gradients."""
    generator, discriminator, step = make(model)
    generator_2, discriminator_2, _ = make(model)
    opt_g = torch.optim.Adam(generator_2.parameters(), lr=1e-3)
    opt_d = torch.optim.Adam(discriminator_2.parameters(), lr=1e-3)
    bce = nn.BCELoss()
    for _ in range(3):
        real, noise = torch.rand(4, 1, 28, 28).double() * 2 - 1, torch.randn(4, 8).double()
        step(Batch(real, noise))
        fake = generator_2(noise)
        ones, zeros = torch.ones(4).double(), torch.zeros(4).double()
        loss_d = bce(discriminator_2(real).sigmoid(), ones) + bce(discriminator_2(fake.detach()).sigmoid(), zeros)
        opt_d.zero_grad()
        loss_d.backward()
        opt_d.step()
        loss_g = bce(discriminator_2(fake).sigmoid(), ones)
        opt_g.zero_grad()
        loss_g.backward()
        opt_g.step()
    for a, b in zip(
        [*generator.parameters(), *discriminator.parameters()],
        [*generator_2.parameters(), *discriminator_2.parameters()],
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("every", [False, True])
def test_a_label_is_compared_with_another_one_or_with_all(every: bool) -> None:
    torch.manual_seed(0)
    pair = models.load("dcgan")
    generator, discriminator = (make(num_classes=5).double() for make in (pair.Generator, pair.Discriminator))
    off = GradScaler("cpu", enabled=False)
    optimizers = [ScaledOptimizer(x, torch.optim.SGD(x.parameters()), off, None) for x in (generator, discriminator)]
    step = AdversarialStep(generator, discriminator, *optimizers, num_classes=5, mismatch=0.7, mismatch_all=every)
    real, labels = torch.rand(6, 1, 28, 28).double() * 2 - 1, torch.tensor([0, 1, 2, 3, 4, 4])
    uniform = torch.rand(6, DRAWS_OF_A_STEP).double()
    logits = torch.stack([discriminator(real, torch.full_like(labels, label)) for label in range(5)], dim=1)
    result = step(Batch(real, torch.randn(6, 64).double(), (labels,), uniform))
    expected = 0.0
    for row, label, number in zip(logits.tolist(), labels.tolist(), uniform[:, -1].tolist(), strict=True):
        drawn = (label + 1 + int(number * 4)) % 5
        compared = range(5) if every else (label, drawn)
        expected += 0.7 * math.log(sum(math.exp(row[other] - row[label]) for other in compared)) / 6
    assert result.penalty is not None
    assert float(result.penalty) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("model", MODELS)
def test_update_of_g_leaves_d_alone(model: str) -> None:
    generator, discriminator, step = make(model)
    batch = Batch(torch.zeros(4, 1, 28, 28).double(), torch.randn(4, 8).double())
    step.settle(batch)
    forwards = []
    generator.register_forward_hook(lambda *_: forwards.append("G"))
    discriminator.register_forward_hook(lambda *_: forwards.append("D"))
    after_d: list[torch.Tensor | None] = []

    def remember(*_: object) -> None:
        after_d[:] = [None if p.grad is None else p.grad.clone() for p in discriminator.parameters()]

    step.optimizer_d.optimizer.register_step_post_hook(remember)
    for _ in range(2):
        step(batch)
    assert forwards == ["G", "D", "D"] * 2
    for parameter, grad in zip(discriminator.parameters(), after_d, strict=True):
        assert grad is not None
        assert grad.abs().sum() > 0
        assert parameter.grad is not None
        assert torch.equal(parameter.grad, grad)  # no weight gradient of D came from G's update


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
def test_one_number_that_is_not_finite_is_found(wrong: float) -> None:
    large = torch.full((4,), 3e38)  # whose sum is infinite
    tensors = {"a": {"x": large, "count": torch.tensor(1)}, "b": {"y": torch.zeros(2, 3, dtype=torch.float64)}}
    check_finite(7, tensors)
    tensors["b"]["y"][1, 2] = wrong
    with pytest.raises(Diverged, match="step 7: b's y is not finite"):
        check_finite(7, tensors)


def test_adam_is_torchs() -> None:
    """To the last bit, with a learning rate that changes and with a hook."""
    torch.manual_seed(0)
    ours, theirs = nn.Linear(7, 5), nn.Linear(7, 5)
    theirs.load_state_dict(ours.state_dict())
    adams = make_adam(ours, 1e-2, (0.5, 0.99)), torch.optim.Adam(theirs.parameters(), 1e-2, (0.5, 0.99), fused=True)
    hooked: list[torch.optim.Optimizer] = []
    adams[0].register_step_post_hook(lambda adam, *_: hooked.append(adam))
    for step in range(4):
        x = torch.randn(3, 7)
        for network, adam in zip((ours, theirs), adams, strict=True):
            adam.param_groups[0]["lr"] = 1e-2 / (step + 1)
            adam.zero_grad()
            network(x).square().sum().backward()
            adam.step()
    assert all(torch.equal(*pair) for pair in zip(ours.parameters(), theirs.parameters(), strict=True))
    assert hooked == [adams[0]] * 4
