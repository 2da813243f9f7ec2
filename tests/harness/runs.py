"""Starting runs, hitting them and comparing what they leave."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file

from benchmarks.world_size import launch_command
from gan_dist.storage.metrics_file import read_rows
from gan_dist.tracking.names import MEASURED
from tests.conftest import ROOT, TRAIN
from tests.harness import forked

Started = subprocess.Popen[str] | forked.Program


def start(*args: object) -> forked.Program:
    """Start train.py in one process and come back at once."""
    return forked.Program(TRAIN, *args, folder=ROOT, environment=os.environ, merged=True)


def start_launcher(num_processes: int, *args: object, max_restarts: int = 0) -> subprocess.Popen[str]:
    """Start train.py in processes of a launcher and come back at once."""
    command = launch_command(num_processes, "gan_dist/train.py", *args)
    command[2:2] = ["--max_restarts", str(max_restarts), "--monitor_interval", "0.5"]
    return start_command(command)


def start_command(command: list[str]) -> subprocess.Popen[str]:
    """Start it in a session of its own, which `kill` ends, and come back at once."""
    return subprocess.Popen(
        command, cwd=ROOT, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def wait_until(condition: Callable[[], object], process: Started, seconds: float = 120) -> None:
    """Look every millisecond until `condition` holds; fail if the process has ended or time is up."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.001)


def last_step(folder: Path) -> int:
    """The step of the last whole row of metrics.jsonl, 0 without one."""
    rows = read_rows(folder / "metrics.jsonl")
    return rows[-1]["step"] if rows else 0


def ranks(launcher: subprocess.Popen[str]) -> dict[int, psutil.Process]:
    """{rank: process} of a running job."""
    found = {}
    for process in psutil.Process(launcher.pid).children(recursive=True):
        environment = process.environ()
        if "RANK" in environment:
            found[int(environment["RANK"])] = process
    return found


def hang_rank_1(launcher: subprocess.Popen[str], patience: float) -> float:
    """Stop rank 1 of a running job for good -> seconds until rank 0 had ended; fail after `patience` seconds."""
    workers = ranks(launcher)
    workers[1].send_signal(signal.SIGSTOP)
    since = time.monotonic()
    wait_until(lambda: not workers[0].is_running() or workers[0].status() == "zombie", launcher, patience)
    taken = time.monotonic() - since
    workers[1].send_signal(signal.SIGCONT)
    launcher.communicate(timeout=90)
    return taken


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own with so much room; skips the test where it cannot be mounted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a small file system takes root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(file: Path) -> None:
    """Write `file` until its disk is full."""
    with file.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        for size in (1 << 16, 1):
            with contextlib.suppress(OSError):
                while stream.write(bytes(size)):
                    pass


def kill(process: Started) -> None:
    """kill -9 of everything that `start` started."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def kill_launcher(launcher: subprocess.Popen[str]) -> None:
    """kill -9 of a launcher and of what it has started, which is in sessions of its own."""
    with contextlib.suppress(psutil.NoSuchProcess):
        job = psutil.Process(launcher.pid)
        for process in [job, *job.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
    launcher.communicate()  # returns once all of them have closed their output


def difference(run: Path, other: Path) -> str:
    """What two run folders differ in: weights, metrics (but for the speed) or pictures; "" if nothing."""
    for network in ("generator", "discriminator"):
        a, b = (load_file(folder / network / "model.safetensors") for folder in (run, other))
        for name in a.keys() | b.keys():
            if not torch.equal(a[name], b[name]):
                return f"{network} {name}"
    tables = [read_rows(folder / "metrics.jsonl") for folder in (run, other)]
    for row in [*tables[0], *tables[1]]:
        for name in MEASURED:
            row.pop(name, None)
    if tables[0] != tables[1]:
        return "metrics.jsonl"
    pictures = [{file.name: file.read_bytes() for file in (folder / "img").iterdir()} for folder in (run, other)]
    return "" if pictures[0] == pictures[1] else "img"
