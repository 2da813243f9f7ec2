"""Precision and accumulation: the same step, a loss scaler for each network, gradients sent once."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.amp import GradScaler

from benchmarks.world_size import largest_difference, losses
from gan_dist import models
from gan_dist.adversarial.optimizer import ScaledOptimizer
from gan_dist.adversarial.step import AdversarialStep, Batch
from gan_dist.storage import checkpoint
from gan_dist.storage.metrics_file import read_rows
from tests.conftest import together, train, train_alone
from tests.harness.messages import count, messages
from tests.harness.runs import difference


def make(scale_g: float = 2.0**10, scale_d: float = 2.0**10, max_norm: float | None = None) -> AdversarialStep:
    """The linear pair in fp16 autocast on the CPU, with two real scalers."""
    torch.manual_seed(0)
    pair = models.load("linear")
    generator, discriminator = pair.Generator(), pair.Discriminator()
    for network in (generator, discriminator):
        autocast_fp16(network)
    optimizer_g, optimizer_d = (
        ScaledOptimizer(
            network, torch.optim.Adam(network.parameters(), 1e-3, fused=True), GradScaler("cpu", scale), max_norm
        )
        for network, scale in ((generator, scale_g), (discriminator, scale_d))
    )
    return AdversarialStep(generator, discriminator, optimizer_g, optimizer_d)


def autocast_fp16(network: torch.nn.Module) -> None:
    """What Accelerate does to a network on a GPU: it computes in fp16 and returns float32."""
    forward: Any = torch.autocast("cpu", dtype=torch.float16)(network.forward)
    network.forward = lambda x: forward(x).float()


def run(step: AdversarialStep) -> None:
    torch.manual_seed(1)
    step(Batch(torch.rand(8, 1, 28, 28) * 2 - 1, torch.randn(8, 100)))


def state(update: ScaledOptimizer) -> list[torch.Tensor]:
    """Weights and what the optimizer knows."""
    tensors = [p.detach().clone() for p in update.network.parameters()]
    return tensors + [t.clone() for s in update.optimizer.state.values() for t in s.values()]


def changed(before: list[torch.Tensor], after: list[torch.Tensor]) -> bool:
    return not all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("overflows", ["g", "d"])
def test_overflow_of_one_network_leaves_the_other_alone(overflows: str) -> None:
    step = make()
    run(step)  # the optimizers' first step makes their state
    updates = {"g": step.optimizer_g, "d": step.optimizer_d}
    updates[overflows].scaler.update(2.0**127)
    other = updates["d" if overflows == "g" else "g"]
    before, before_other = state(updates[overflows]), state(other)
    run(step)
    assert not changed(before, state(updates[overflows]))
    assert updates[overflows].scaler.get_scale() == 2.0**126  # halved
    assert changed(before_other, state(other))
    assert other.scaler.get_scale() == 2.0**10


def test_scalers_grow_on_their_own() -> None:
    step = make(scale_g=4.0, scale_d=16.0)
    for scaler in (step.optimizer_g.scaler, step.optimizer_d.scaler):
        scaler.set_growth_interval(3)
    for _ in range(3):
        run(step)
    assert (step.optimizer_g.scaler.get_scale(), step.optimizer_d.scaler.get_scale()) == (8.0, 32.0)


def test_scale_does_not_matter() -> None:
    one, other = make(scale_g=1.0, scale_d=1.0), make(scale_g=2.0**12, scale_d=2.0**8)
    run(one)
    run(other)
    for a, b in ((one.optimizer_d, other.optimizer_d), (one.optimizer_g, other.optimizer_g)):
        for p, q in zip(a.network.parameters(), b.network.parameters(), strict=True):
            assert p.grad is not None
            assert q.grad is not None
            assert (p.grad - q.grad).norm() < 0.02 * p.grad.norm()


@pytest.mark.slow
@pytest.mark.parametrize("num_processes", [1, 2])
def test_fp16_resumes_exactly(num_processes: int, data_args: list[str], tmp_path: Path) -> None:
    """Both scalers are in the checkpoint and reach every process; a skipped step is told for each network."""
    args = [*data_args, "--log-every", 20, "--sample-every", 20, "--num-samples", 4, "--clip-grad-norm", 10]

    def train_fp16(folder: Path, steps: int) -> Path:
        args_ = [*args, "--max-steps", steps, "--run-dir", folder]
        together(num_processes, "tests/programs/fp16_on_cpu.py", *args_)
        return folder

    never_stopped = train_fp16(tmp_path / "never_stopped", 60)
    train_fp16(tmp_path / "run", 20)
    assert difference(never_stopped, train_fp16(tmp_path / "run", 60)) == ""
    row = read_rows(never_stopped / "metrics.jsonl")[-1]
    assert row["skipped_d"] > row["skipped_g"] > 0
    assert row["loss_scale_d"] != row["loss_scale_g"]


@pytest.mark.parametrize("scale", [1.0, 2.0**10])
def test_clipping_is_of_each_networks_own_gradient(scale: float) -> None:
    step = make(scale, scale, max_norm=0.01)
    run(step)
    for update in (step.optimizer_g, step.optimizer_d):
        norm = torch.nn.utils.get_total_norm([p.grad for p in update.network.parameters() if p.grad is not None])
        assert norm == pytest.approx(0.01, rel=1e-3)


@pytest.mark.slow
def test_clipping_of_a_run(data_args: list[str], tmp_path: Path) -> None:
    """What is logged is the norm before clipping: it says how much was cut."""
    args = [*data_args, "--max-steps", 3, "--log-every", 1]
    clipped, free = (
        read_rows(train(1, tmp_path / name, *args, *options) / "metrics.jsonl")
        for name, options in (("clipped", ["--clip-grad-norm", 0.5]), ("free", []))
    )
    assert clipped[0]["grad_norm_d"] == pytest.approx(free[0]["grad_norm_d"]) != pytest.approx(0.5)
    assert clipped[2]["loss_d"] != free[2]["loss_d"]


@pytest.mark.slow
@pytest.mark.parametrize("num_processes", [1, 2])
def test_accumulated_batch_is_the_batch(num_processes: int, data_args: list[str], tmp_path: Path) -> None:
    args = [*data_args, "--dtype", "float64", "--max-steps", 20]
    whole = train(1, tmp_path / "whole", *args)
    parts = train(num_processes, tmp_path / "parts", *args, "--accumulate", 4)
    assert largest_difference(whole, parts) < 1e-10


@pytest.mark.slow
def test_batchnorm_sees_the_same_part_on_any_number_of_processes(data_args: list[str], tmp_path: Path) -> None:
    args = [*data_args, "--recipe", "conv", "--batch-size", 8, "--dtype", "float64", "--max-steps", 5]
    one, two = (train(n, tmp_path / str(n), *args, "--accumulate", 2) for n in (1, 2))
    assert largest_difference(one, two) < 1e-10


@pytest.mark.parametrize("backend", ["no", pytest.param("eager", marks=pytest.mark.slow)])
def test_accumulated_gradients_travel_once(backend: str, data_args: list[str]) -> None:
    """Also with networks that accelerate's config has compiled."""
    sent = messages(*data_args, "--accumulate", 4, ACCELERATE_DYNAMO_BACKEND=backend.upper())["a step"]
    pair = models.load("linear")
    assert sum(numbers * times for _, numbers, times in sent) == count(pair.Generator(), pair.Discriminator())


@pytest.mark.slow
def test_bf16_stays_near_fp32(data_args: list[str], tmp_path: Path) -> None:
    """bf16 has 8 bits of precision: a relative error of 2**-8 in each product, and means over 64 logits. The first
    steps agree to a few of those; later the two runs are two samples of a chaotic process, and only their averages over
    the last half agree."""
    args = [*data_args, "--max-steps", 200, "--log-every", 1]
    fp32, bf16 = (
        torch.tensor(losses(train(1, tmp_path / precision, *args, "--mixed-precision", precision))).view(-1, 2)
        for precision in ("no", "bf16")
    )
    assert not torch.equal(fp32, bf16)
    assert (fp32[:20] - bf16[:20]).abs().max() < 0.05
    assert (fp32[100:].mean(0) - bf16[100:].mean(0)).abs().max() < 0.2
    saved = checkpoint.read_state(tmp_path / "bf16" / "checkpoints" / "step_00000200")
    assert saved["precision"] == "bf16"


def test_precision_that_cannot_be_is_refused(data_args: list[str], tmp_path: Path) -> None:
    for args, words in (
        (["--mixed-precision", "fp16"], "--mixed-precision fp16: needs a GPU"),
        (["--mixed-precision", "bf16", "--dtype", "float64"], "--mixed-precision bf16: needs --dtype float32"),
        (["--accumulate", "3"], "--accumulate 3: --batch-size 64 is no multiple; take 63 or 66 for it"),
    ):
        done = train_alone(*data_args, *args, "--run-dir", tmp_path / "run")
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert words in done.stderr
    assert not (tmp_path / "run").exists()


def test_penalties_are_of_float32() -> None:
    assert together(1, "tests/programs/penalty_precision.py").split() == ["torch.bfloat16", "torch.float32", "True"]
