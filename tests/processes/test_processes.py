"""The number of processes does not matter: real ones, started with `accelerate launch`, on real digits."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from benchmarks.world_size import largest_difference, losses
from gan_dist.distributed.launcher import check_size
from gan_dist.errors import UserError
from gan_dist.models import load
from gan_dist.storage.metrics_file import read_rows
from tests.conftest import ROOT, together, train, train_alone
from tests.harness import forked
from tests.harness.messages import count, messages
from tests.harness.runs import start_launcher

CLOTHES = ["--mismatch-all", "--model-args", "layer_norm=true", "minibatch_std=true"]  # as in the recipe fashion-mnist


@pytest.mark.parametrize(
    ("recipe", "batch", "others"),
    [
        ("linear", ["--batch-size", 64], (2, 3)),
        pytest.param("linear", ["--batch-size", 14, "--accumulate", 2], (4, 5, 7), marks=pytest.mark.slow),
        pytest.param("conv", ["--batch-size", 8], (2, 4), marks=pytest.mark.slow),
        pytest.param("conv", ["--batch-size", 14, "--accumulate", 2], (3, 5, 7), marks=pytest.mark.slow),
        pytest.param("mnist", ["--batch-size", 14, *CLOTHES], (2, 3), marks=pytest.mark.slow),
    ],
)
def test_float64_weights_agree(
    recipe: str, batch: list[object], others: tuple[int, ...], data_args: list[str], tmp_path: Path
) -> None:
    """And metrics; also where some processes have a row more than others, or where each has one."""
    args = [*data_args, "--recipe", recipe, *batch, "--dtype", "float64", "--log-every", 1]
    start = train(1, tmp_path / "start", *args, "--max-steps", 1)
    alone = train(1, tmp_path / "1", *args, "--max-steps", 20)
    assert largest_difference(alone, start) > 1e-3  # the runs did learn
    for number in others:
        several = train(number, tmp_path / str(number), *args, "--max-steps", 20)
        assert largest_difference(alone, several) < 1e-10
        for row, same in zip(*(read_rows(run / "metrics.jsonl") for run in (alone, several)), strict=True):
            names = [name for name in row if name.startswith(("loss", "logit", "accuracy", "grad_norm"))]
            assert len(names) == 8
            assert [row[name] for name in names] == pytest.approx([same[name] for name in names], abs=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["linear", "conv"])
def test_float32_losses_agree(recipe: str, data_args: list[str], tmp_path: Path) -> None:
    args = [*data_args, "--recipe", recipe, "--batch-size", 16, "--max-steps", 5, "--log-every", 1]
    one, two = (losses(train(n, tmp_path / str(n), *args)) for n in (1, 2))
    assert len(one) == 10
    assert one == pytest.approx(two, abs=1e-4)


@pytest.mark.slow
def test_same_command_same_bits(data_args: list[str], tmp_path: Path) -> None:
    for n in (1, 2):
        args = [*data_args, "--recipe", "conv", "--batch-size", 8, "--max-steps", 5]
        first, second = (train(n, tmp_path / f"{n}{i}", *args) for i in "ab")
        assert largest_difference(first, second) == 0


@pytest.mark.slow
def test_first_batch_is_the_same_set(data_args: list[str], tmp_path: Path) -> None:
    batches, options = [], ["--recipe", "mnist", "--augment", "cutout"]
    for n in (1, 2, 3, 4):
        together(n, "tests/programs/first_batch.py", tmp_path, *data_args, *options)
        parts = [np.load(tmp_path / f"{n}_{rank}.npz") for rank in range(n)]
        batches.append({key: np.concatenate([part[key] for part in parts]) for key in parts[0].files})
    for batch, key in itertools.product(batches[1:], batches[0]):
        assert len(batch[key]) == 64
        assert np.array_equal(batch[key], batches[0][key])
    assert len(set(batches[0]["indices"].tolist())) == 64
    assert batches[0].keys() == {"indices", "real", "noise", "labels", "uniform"}


def test_gradients_travel_once(data_args: list[str]) -> None:
    sent = messages(*data_args)
    networks = load("linear").Generator(), load("linear").Discriminator()
    assert sum(numbers * times for _, numbers, times in sent["a step"]) == count(*networks)
    assert [operation for operation, _, _ in sent["a step"]] == ["all_reduce"] * 2  # a message for each network
    assert [len(sent[when]) for when in ("a row of metrics", "whether to stop")] == [1, 1]


@pytest.mark.slow
def test_batchnorm_sends_one_message_each_way(data_args: list[str]) -> None:
    sent = messages(*data_args, "--recipe", "conv", "--batch-size", 4)["a step"]
    channels = [module.num_features for module in load("conv").Generator().modules() if hasattr(module, "num_features")]
    gathered = [(numbers, times) for operation, numbers, times in sent if operation == "all_gather"]
    assert gathered == [(2 * each + 1, 1) for each in channels]  # mean, variance and count
    back = [message for message in sent if message in [("all_reduce", 2 * each, 1) for each in channels]]
    assert len(back) == len(channels)


def test_layers_that_depend_on_the_number_of_processes_are_found() -> None:
    together(2, "tests/programs/across_processes.py")


def test_global_batchnorm_is_batchnorm() -> None:
    lines = together(2, "tests/programs/batchnorm.py").splitlines()
    worst = {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines}
    kinds = ("BatchNorm1d", "BatchNorm2d", "Doubled")
    assert worst.keys() == {f"{dtype} {kind}" for dtype in ("float64", "float32") for kind in kinds}
    for kind, apart in worst.items():
        assert apart < (1e-13 if "float64" in kind else 1e-5), worst


def test_several_first_processes_are_refused(
    data_args: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job started by srun alone: each copy would believe to be rank 0 and write the same files."""
    done = train_alone(*data_args, "--run-dir", tmp_path / "run", SLURM_STEP_NUM_TASKS="2")
    assert done.returncode == 2
    assert done.stderr.startswith("error: SLURM_STEP_NUM_TASKS=2, but this process sees 1")
    assert "accelerate launch --config_file" in done.stderr
    assert not (tmp_path / "run").exists()
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="WORLD_SIZE=2"):
        check_size(1)


def test_an_error_of_one_process_is_raised_on_all() -> None:
    done = forked.run(ROOT / "tests/programs/one_error.py", folder=ROOT, num_processes=2)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == [
        "process 0: Told: --seed -1: of process 0",
        "process 1: Told: another process of this job has met an error, which it has logged",
    ]
    assert [line for line in done.stderr.splitlines() if "--seed" in line] == ["--seed -1: of process 0"]


def test_an_error_of_one_process_ends_all(data_args: list[str], tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("mine")
    process = start_launcher(2, *data_args, "--run-dir", tmp_path / "run")
    words, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    assert words.count("error: run folder") == 1
    assert "exitcode  : 2" in words
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["mine.txt"]


EVERYTHING = ["--recipe", "mnist", "--batch-size", 16, "--r1-every", 2, "--r2", 0.1, "--lr-warmup", 100]
EVERYTHING += ["--mismatch", 0.3, "--augment", "translation", "cutout"]


@pytest.mark.parametrize(
    "more",
    [
        ["--accumulate", 2],
        *(pytest.param(more, marks=pytest.mark.slow) for more in ([], ["--objective", "wgan-gp"])),
    ],
)
def test_objectives_penalties_and_labels_agree(more: list[object], data_args: list[str], tmp_path: Path) -> None:
    """Also the running average, which `generator/` has."""
    args = [*data_args, *EVERYTHING, "--dtype", "float64", "--max-steps", 20, *more]
    one, two = (train(n, tmp_path / str(n), *args) for n in (1, 2))
    assert largest_difference(one, two) < 1e-10


@pytest.mark.slow
def test_objectives_penalties_and_labels_resume(data_args: list[str], tmp_path: Path) -> None:
    args = [*data_args, *EVERYTHING, "--lr-schedule", "constant", "--checkpoint-every", 7]
    whole = train(2, tmp_path / "whole", *args, "--max-steps", 14)
    train(2, tmp_path / "run", *args, "--max-steps", 7)
    train(2, tmp_path / "run", *args, "--max-steps", 14)
    assert largest_difference(whole, tmp_path / "run") == 0
