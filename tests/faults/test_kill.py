"""kill -9, for real, at any moment; the resumed run must be the run that was never hit."""

import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from benchmarks.world_size import largest_difference
from tests.conftest import train
from tests.harness.runs import difference, kill, last_step, ranks, start, start_launcher, wait_until

STEPS, KILLS = 200, 4
OFTEN = ["--max-steps", STEPS, "--checkpoint-every", 5, "--log-every", 1, "--sample-every", 50, "--num-samples", 4]


@pytest.fixture(scope="module")
def never_hit(data_args: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(1, tmp_path_factory.mktemp("never_hit") / "run", *data_args, *OFTEN)


def hit_and_resume(folder: Path, args: list[object], seed: int) -> int:
    """Kill a run at random moments, every other time inside a save; let it end -> how often it was inside a save."""
    chance, inside = random.Random(seed), 0
    for number, drawn in enumerate(sorted(chance.sample(range(STEPS - 10), KILLS))):
        moment = max(drawn, last_step(folder) + 1)
        process = start(*args, "--run-dir", folder)
        wait_until(lambda moment=moment: last_step(folder) >= moment, process)  # type: ignore[misc]
        if number % 2:
            wait_until(lambda: any((folder / "checkpoints").glob(".new_*")), process)
        time.sleep(chance.uniform(0, 0.01))
        inside += any((folder / "checkpoints").glob(".new_*"))
        kill(process)
    words, _ = (resumed := start(*args, "--run-dir", folder)).communicate(timeout=120)
    assert resumed.returncode == 0, words
    assert not any((folder / "checkpoints").glob(".*"))
    return inside


@pytest.mark.parametrize("num_runs", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_killed_run_is_the_run(num_runs: int, never_hit: Path, data_args: list[str], tmp_path: Path) -> None:
    inside = 0
    for seed in range(num_runs):
        folder = tmp_path / str(seed)
        inside += hit_and_resume(folder, [*data_args, *OFTEN], seed)
        assert difference(never_hit, folder) == ""
    print(f"{num_runs} runs, {num_runs * KILLS} kills, {inside} of them inside a save")
    assert inside


@pytest.mark.slow
def test_dead_rank_restarts_by_itself(data_args: list[str], tmp_path: Path) -> None:
    args = [*data_args, *OFTEN]
    never_hit = train(2, tmp_path / "never_hit", *args)
    folder = tmp_path / "run"
    process = start_launcher(2, *args, "--run-dir", folder, max_restarts=3)
    wait_until(lambda: last_step(folder) >= 80, process)
    ranks(process)[1].send_signal(signal.SIGKILL)
    words, _ = process.communicate(timeout=180)
    assert process.returncode == 0, words
    assert "going on from" in words
    assert difference(never_hit, folder) == ""


@pytest.mark.slow
def test_four_processes_resume_exactly(data_args: list[str], tmp_path: Path) -> None:
    """More than two: a sum of two numbers does not depend on their order."""
    args = [*data_args, "--log-every", 5]
    whole = train(4, tmp_path / "whole", *args, "--max-steps", 10)
    train(4, tmp_path / "run", *args, "--max-steps", 5)
    assert largest_difference(whole, train(4, tmp_path / "run", *args, "--max-steps", 10)) == 0


@pytest.mark.slow
def test_resume_on_another_number_of_processes(data_args: list[str], tmp_path: Path) -> None:
    args = [*data_args, "--recipe", "conv", "--batch-size", 4, "--dtype", "float64"]
    half = {n: train(n, tmp_path / str(n), *args, "--max-steps", 3) for n in (1, 2)}
    shutil.copytree(half[1], tmp_path / "1_to_2")
    shutil.copytree(half[2], tmp_path / "2_to_1")
    whole = train(1, half[1], *args, "--max-steps", 6)
    for n, name in ((2, "1_to_2"), (1, "2_to_1")):
        assert largest_difference(whole, train(n, tmp_path / name, *args, "--max-steps", 6)) < 1e-10
