"""Looking at a network leaves no trace, whatever its forward changes."""

import torch
from torch import nn

from gan_dist import models
from gan_dist.adversarial.average import Average
from gan_dist.evaluation.drawn import Drawn
from gan_dist.models._behaviour import draws_random_numbers, looks_across_batch
from tests.conftest import ROOT

NORMS = models.load(str(ROOT / "tests" / "networks" / "norms.py"))


def test_looking_leaves_no_trace() -> None:
    """Of vectors in frozen parameters, and of a part that is kept in eval mode."""
    generator = NORMS.Generator(latent_dim=8)
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    modes = [module.training for module in generator.modules()]
    assert not looks_across_batch(generator, [torch.randn(6, 8)])
    assert not draws_random_numbers(generator, [torch.randn(6, 8)])
    Drawn(generator, latent_dim=8, seed=0, frequencies=None)(range(4))
    assert all(torch.equal(tensor, before[name]) for name, tensor in generator.state_dict().items())
    assert modes == [module.training for module in generator.modules()]


def test_average_of_weights_that_hooks_make() -> None:
    generator, noise = NORMS.Generator(latent_dim=8), torch.randn(4, 8)
    generator(noise)  # leaves weights that are part of a graph in the modules
    average = Average(generator, half_life=100)
    assert torch.equal(average.network(noise), generator.eval()(noise))


def test_what_a_layer_keeps_of_its_batch() -> None:
    """Running statistics that no output depends on in training."""
    layers = [nn.Unflatten(1, (1, 28, 28)), nn.InstanceNorm2d(1, track_running_stats=True)]
    assert looks_across_batch(nn.Sequential(*layers), [torch.zeros(6, 784)])
    assert not looks_across_batch(nn.Sequential(layers[0], nn.InstanceNorm2d(1)), [torch.zeros(6, 784)])
