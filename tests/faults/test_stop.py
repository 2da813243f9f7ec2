"""Signals: whichever process they reach, all save the same step and end soon, with a documented code."""

import re
import signal
import sys
import time
from pathlib import Path

import pytest

from gan_dist.storage import checkpoint
from tests.conftest import TRAIN, together, train
from tests.harness.runs import (
    difference,
    hang_rank_1,
    last_step,
    ranks,
    start,
    start_command,
    start_launcher,
    wait_until,
)

ARGS = ["--log-every", 1, "--sample-every", 1000, "--num-samples", 4]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP])
def test_signal_saves_and_ends(signum: signal.Signals, data_args: list[str], tmp_path: Path) -> None:
    process = start(*data_args, *ARGS, "--run-dir", tmp_path / "run")
    wait_until(lambda: last_step(tmp_path / "run") >= 20, process)
    process.send_signal(signum)
    since = time.monotonic()
    words, _ = process.communicate(timeout=60)
    assert time.monotonic() - since < 15  # 2 where nothing else runs; other tests run beside this one
    assert process.returncode == 128 + signum, words
    step = last_step(tmp_path / "run")
    assert checkpoint.read_state(tmp_path / "run" / "checkpoints" / f"step_{step:08d}")["step"] == step


def test_nohup_keeps_a_run_from_sighup(data_args: list[str], tmp_path: Path) -> None:
    args = [sys.executable, TRAIN, *data_args, *ARGS, "--max-steps", 100, "--run-dir", tmp_path / "run"]
    process = start_command(["nohup", *map(str, args)])
    wait_until(lambda: last_step(tmp_path / "run") >= 20, process)
    process.send_signal(signal.SIGHUP)
    words, _ = process.communicate(timeout=60)
    assert process.returncode == 0, words
    assert last_step(tmp_path / "run") == 100


@pytest.mark.slow
@pytest.mark.parametrize("num_processes", [1, 2])
def test_resumed_run_stops_soon_and_may_take_long_to_close(num_processes: int) -> None:
    """The first ask after a resume must not divide by all the steps ever done: it waited for 80 steps, 4 s."""
    words = together(num_processes, "tests/programs/stopping.py").splitlines()[-1]
    steps, seconds = re.fullmatch(r"(\d+) steps, ([\d.]+) s, closed", words).groups()  # type: ignore[union-attr]
    assert int(steps) <= 20
    assert float(seconds) < 3


@pytest.mark.slow
def test_signal_to_one_rank_stops_all(data_args: list[str], tmp_path: Path) -> None:
    args = [*data_args, *ARGS, "--max-steps", 150]
    folder = tmp_path / "run"
    process = start_launcher(2, *args, "--run-dir", folder)
    wait_until(lambda: last_step(folder) >= 10, process)
    workers = ranks(process)
    workers[1].send_signal(signal.SIGTERM)
    words, _ = process.communicate(timeout=60)
    assert process.returncode, words
    assert not any(worker.is_running() for worker in workers.values())
    stopped = last_step(folder)
    assert checkpoint.read_state(folder / "checkpoints" / f"step_{stopped:08d}")["step"] == stopped < 150
    train(2, folder, *args)
    assert difference(train(2, tmp_path / "never_stopped", *args), folder) == ""


def test_second_signal_ends_at_once(data_args: list[str], tmp_path: Path) -> None:
    """While the first is still waited on: the process is stopped inside a slow step."""
    args: list[object] = ["--recipe", "conv", "--batch-size", 256, "--log-every", 1, "--run-dir", tmp_path / "run"]
    process = start(*data_args, *args)
    wait_until(lambda: (tmp_path / "run" / "img" / "fake_00000000.png").exists(), process)
    process.send_signal(signal.SIGTERM)
    time.sleep(1.1)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert not list((tmp_path / "run" / "checkpoints").iterdir())


@pytest.mark.slow
def test_hanging_rank_ends_the_job(data_args: list[str], tmp_path: Path) -> None:
    process = start_launcher(2, *data_args, *ARGS, "--run-dir", tmp_path / "run", "--timeout-minutes", 0.25)
    wait_until(lambda: last_step(tmp_path / "run") >= 10, process)
    assert hang_rank_1(process, patience=60) < 45
    assert process.returncode
