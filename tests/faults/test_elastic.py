"""Machines come and go, as launchers of their own on this one; the result is that of one undisturbed process."""

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from benchmarks.world_size import largest_difference
from gan_dist.storage import checkpoint
from gan_dist.storage.metrics_file import read_rows
from tests.conftest import ROOT, train
from tests.harness.forked import free_port
from tests.harness.runs import kill_launcher, last_step, start, wait_until
from tests.harness.wandb_server import WandbServer

SCRIPT = ROOT / "cloud" / "elastic.sh"
STEPS = 120
NO_RESUME = "--resume is for one start, and each machine that joins is one: run train.py with it once, then join"


def trained_by(folder: Path) -> int:
    """How many processes made the newest checkpoint."""
    with contextlib.suppress(IndexError, FileNotFoundError):
        return int(checkpoint.read_state(sorted((folder / "checkpoints").glob("step_*"))[-1])["world_size"])
    return 0


def until(condition: Callable[[], bool], machines: list["subprocess.Popen[str]"]) -> float:
    """Wait for it -> seconds."""
    start = time.monotonic()
    while not condition():
        assert all(machine.poll() is None for machine in machines)
        assert time.monotonic() < start + 240, "timed out"
        time.sleep(0.05)
    return time.monotonic() - start


class Job:
    """A meeting point, and the machines that join there; whatever is left of them is killed at the end."""

    def __init__(self, folder: Path, options: list[object], environment: Mapping[str, str] | None = None) -> None:
        self.folder, self.options, self.environment = folder, options, os.environ | dict(environment or {})
        self.port = free_port()
        self.started: list[subprocess.Popen[str]] = []

    def __enter__(self) -> "Job":
        self.meeting = self._start("meet", self.port)
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.started:
            kill_launcher(process)

    def join(self) -> "subprocess.Popen[str]":
        return self._start("join", f"127.0.0.1:{self.port}", *self.options)

    def _start(self, *words: object) -> "subprocess.Popen[str]":
        command, log = [str(word) for word in (SCRIPT, *words)], self.folder / f"{len(self.started)}.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                command,
                stdout=output,
                stderr=output,
                text=True,
                start_new_session=True,
                cwd=self.folder,
                env=self.environment,
            )
        self.started.append(process)
        return process


@pytest.mark.slow
def test_machines_come_and_go(data_args: list[str], tmp_path: Path) -> None:
    """1, 3, 2 and 1 of them: two join, one dies, one is told to go. W&B gets one run, and each step once."""
    args = [*data_args, "--batch-size", 4000, "--dtype", "float64", "--max-steps", STEPS, "--log-every", 1]
    alone, run, chance = train(1, tmp_path / "alone", *args), tmp_path / "run", random.Random(time.time())
    tracked = [*args, "--tracker", "wandb", "--checkpoint-every", 4, "--run-dir", run]
    with WandbServer() as server, Job(tmp_path, tracked, server.environment) as job:
        machines = [job.join()]
        until(lambda: last_step(run) > chance.randrange(20), machines)
        machines += [job.join(), job.join()]
        joined = until(lambda: trained_by(run) == 3, machines)
        time.sleep(chance.uniform(0, 2))
        kill_launcher(machines.pop(chance.randrange(3)))
        died = until(lambda: trained_by(run) == 2, machines)
        time.sleep(chance.uniform(0, 2))
        told = machines.pop(chance.randrange(2))
        told.send_signal(signal.SIGTERM)
        left = until(lambda: trained_by(run) == 1, machines)
        assert last_step(run) < STEPS
        assert machines[0].wait(240) == 0
        print(
            f"until the run goes on: {joined:.0f} s after two join, {died:.0f} after one dies, {left:.0f} as one goes"
        )
    assert [row["step"] for row in read_rows(run / "metrics.jsonl")] == list(range(1, STEPS + 1))
    (shown,) = server.runs.values()
    assert [row["train/step"] for row in shown.history() if "D/loss" in row] == list(range(1, STEPS + 1))
    assert shown.exit_code == 0
    assert largest_difference(alone, run) < 1e-10


@pytest.mark.slow
def test_the_meeting_point_dies(data_args: list[str], tmp_path: Path) -> None:
    """The machine saves and ends; it goes on where there is a meeting point again."""
    run, cadence = tmp_path / "run", ["--log-every", 1, "--checkpoint-every", 50]
    options = [*data_args, *cadence, "--max-steps", 100_000, "--run-dir", run]
    with Job(tmp_path, options) as job:
        machine = job.join()
        until(lambda: trained_by(run) == 1, [machine])
        kill_launcher(job.meeting)
        assert machine.wait(60) == 1
    step = last_step(run)
    assert checkpoint.read_state(run / "checkpoints" / f"step_{step:08d}")["step"] == step > 50
    with Job(tmp_path, options) as job:
        machine = job.join()
        until(lambda: last_step(run) > step, [machine])
    assert [row["step"] for row in read_rows(run / "metrics.jsonl")][step] == step + 1


def test_elastic_script_says_what_it_needs(tmp_path: Path) -> None:
    for words, expected in (
        ([], "elastic.sh: meet [PORT], or join HOST[:PORT] OPTIONS"),
        (
            ["join", "--run-dir", "x"],
            "elastic.sh: join HOST[:PORT] OPTIONS: which HOST runs 'cloud/elastic.sh meet'?",
        ),
        (["join", "here"], "elastic.sh: needs --run-dir, a folder that all machines share"),
        (["join", "here", "--run-dir", "x", "--epochs", "0"], "error: --epochs 0: must be greater than 0"),
        (["join", "here", "--run-dir", "x", "--resume", "y"], f"elastic.sh: {NO_RESUME}"),
        (["meet", "65536"], "elastic.sh: port 65536 cannot be opened; name another"),
        (["meet", "here"], "elastic.sh: port here cannot be opened; name another"),
    ):
        done = subprocess.run([SCRIPT, *words], capture_output=True, text=True, cwd=tmp_path, timeout=60)
        assert (done.returncode, done.stderr) == (2, f"{expected}\n")


def test_run_that_another_process_has_taken_over(data_args: list[str], tmp_path: Path) -> None:
    """Where locks do not reach from machine to machine, or after a machine was taken for dead."""
    run = tmp_path / "run"
    process = start(*data_args, "--max-steps", 100_000, "--checkpoint-every", 100, "--log-every", 1, "--run-dir", run)
    wait_until(lambda: last_step(run) > 0, process)
    (run / ".lock").write_text("process 7 on another machine\n")
    saved = sorted((run / "checkpoints").iterdir())
    words, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert f"error: run folder {run}: process 7 on another machine trains in it now; this process ends" in words
    assert sorted((run / "checkpoints").iterdir()) == saved
