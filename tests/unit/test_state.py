"""Networks, optimizers and step as a configuration makes them."""

import pytest
import torch
from accelerate import Accelerator

from gan_dist.adversarial.step import DRAWS_OF_A_STEP, Batch
from gan_dist.config.resolve import parse
from gan_dist.training.state import TrainingState


@pytest.mark.parametrize(("recipe", "left", "mismatch"), [("mnist", 0.2, 0.3 * 0.2), ("fashion-mnist", 0.52, 0.5)])
def test_mismatch_falls_with_learning_rates_or_not(recipe: str, left: float, mismatch: float) -> None:
    config = parse(["--recipe", recipe, "--batch-size", "8"])
    state = TrainingState(config, Accelerator(cpu=True), (1, 28, 28), 10, torch.full((10,), 0.1))
    labels = (torch.arange(8),)
    batch = Batch(torch.zeros(8, 1, 28, 28), torch.randn(8, 64), labels, torch.rand(8, DRAWS_OF_A_STEP))
    state.settle(batch)
    state.train(10, batch)
    assert state.rates()["lr_d"] == pytest.approx(0.004 * left)
    assert state.step.mismatch == pytest.approx(mismatch)
