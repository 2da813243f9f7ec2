"""launch.sh, run for real with the environment that runs the tests; nothing is installed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from gan_dist.distributed.gpus import compute
from gan_dist.storage import checkpoint
from tests.conftest import ROOT
from tests.harness.runs import last_step
from tests.processes.test_data import NO_NETWORK

ON_CPU = {"VENV": sys.prefix, "CUDA_VISIBLE_DEVICES": ""}
ARGS = ["--log-every", "1", "--sample-every", "100000", "--num-samples", "4"]

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="torch sees a GPU here")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what launch.sh needs: runs/launch.* are then not those of a run that somebody has in this clone."""
    shutil.copytree(ROOT / "gan_dist", tmp_path / "gan_dist", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "accelerate_configs", tmp_path / "accelerate_configs")
    for name in ("launch.sh", "launch_background.sh", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def launch_sh(project: Path, *args: str, **environment: str) -> tuple[int, str]:
    """Run it to its end -> exit code, all that it said."""
    done = subprocess.run(
        [str(project / "launch.sh"), *args],
        cwd=project,
        env=os.environ | ON_CPU | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout


def wait_for(condition: Callable[[], object], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.05)


def command(folder: Path, name: str, script: str) -> None:
    """Put a command of this name into a folder that comes first on PATH."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def before_path(folder: Path) -> str:
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def saved_step(run: Path) -> int:
    """The step of the newest checkpoint, which is whole."""
    newest = max((run / "checkpoints").iterdir())
    return int(checkpoint.read_state(newest)["step"])


def test_trains_and_prints_its_line(project: Path, data_args: list[str]) -> None:
    code, words = launch_sh(project, *data_args, *ARGS, "--max-steps", "3", "--run-dir", "runs/a", OMP_NUM_THREADS="1")
    assert code == 0, words
    assert f"OMP_NUM_THREADS=1 env ACCELERATE_USE_CPU=true {sys.prefix}/bin/python {project}/gan_dist/train.py" in words
    assert saved_step(project / "runs" / "a") == 3


@pytest.mark.slow
def test_closed_output(project: Path, data_args: list[str]) -> None:
    words = [str(project / "launch.sh"), *data_args, *ARGS, "--max-steps", "3", "--run-dir", "runs/a"]
    command = ["bash", "-c", '"$@" >&- 2>&-', "bash", *words]
    assert subprocess.run(command, cwd=project, env=os.environ | ON_CPU, timeout=120).returncode == 0
    assert saved_step(project / "runs" / "a") == 3


@pytest.mark.parametrize("background", [[], ["--background"]])
def test_bad_option_is_one_line(background: list[str], project: Path) -> None:
    code, words = launch_sh(project, *background, "--batch-size", "0")
    assert code == 2
    assert words == "error: --batch-size 0: must be greater than 0\n"
    assert not (project / "runs").exists()


def test_no_digits_is_one_line(project: Path) -> None:
    """The digits that it falls back on are for a start without options."""
    args = ["--max-steps", "3", "--data-dir", "nothing"]
    code, words = launch_sh(project, *args, XDG_CACHE_HOME=str(project / "cache"), **NO_NETWORK)
    assert code == 2
    assert words.startswith("error: --dataset mnist: nothing/MNIST/raw/")
    assert words.endswith(", or take --dataset mnist-5k\n")
    assert words.count("\n") == 1
    assert not (project / "runs").exists()


def test_environment_that_is_none(project: Path) -> None:
    code, words = launch_sh(project, VENV="/nowhere")
    assert code == 2
    assert words.startswith("launch.sh: VENV=/nowhere: has no bin/python with accelerate;")
    assert words.count("\n") == 1


def test_python_too_old(project: Path) -> None:
    tools = project / "tools"
    command(tools, "python3", 'if [ "$1" = --version ]; then echo Python 3.8.10; else exit 1; fi')
    for tool in ("bash", "env", "dirname", "cksum"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    code, words = launch_sh(project, VENV="", PATH=str(tools))
    assert code == 2
    assert "needs Python 3.10 or newer and found Python 3.8.10" in words
    assert words.count("\n") == 1


def test_python_without_venv_module(project: Path) -> None:
    tools = project / "tools"
    command(tools, "python3", f'case "$*" in *ensurepip*) exit 1 ;; esac; exec {sys.executable} "$@"')
    code, words = launch_sh(project, VENV="", PATH=before_path(tools))
    assert code == 2
    assert words == "launch.sh: python3 has no venv module; on Debian and Ubuntu: apt install python3-venv\n"
    assert not (project / ".venv").exists()


def test_what_cannot_compute() -> None:
    """There is no GPU here that torch has no code for; this is another device that it cannot compute on."""
    assert compute("cpu") is None
    assert compute("meta") == "Tensor.item() cannot be called on meta tensors"


@no_gpu
def test_driver_too_old_for_torch(project: Path) -> None:
    tools = project / "tools"
    query = 'if [ "$1" ]; then echo 470.57.02; exit; fi'
    command(
        tools, "nvidia-smi", f'{query}; echo "| NVIDIA-SMI 470.57.02  Driver Version: 470.57.02  CUDA Version: 9.0 |"'
    )
    env = {"PATH": before_path(tools), "CUDA_VISIBLE_DEVICES": "0"}
    code, words = launch_sh(project, "--max-steps", "3", **env)
    assert code == 2
    assert torch.__version__ in words
    if torch.version.cuda:
        assert f"driver 470.57.02 (up to CUDA 9.0) does not serve torch {torch.__version__}" in words
        assert "too old" in words
    assert "CUDA_VISIBLE_DEVICES= ./launch.sh" in words
    assert words.count("\n") == 1


@no_gpu
def test_driver_not_loaded(project: Path) -> None:
    command(project / "tools", "nvidia-smi", "echo NVIDIA-SMI has failed; echo second line; exit 9")
    env = {"PATH": before_path(project / "tools"), "CUDA_VISIBLE_DEVICES": "0"}
    code, words = launch_sh(project, "--max-steps", "3", **env)
    assert code == 2
    assert "nvidia-smi fails (NVIDIA-SMI has failed)" in words
    assert words.count("\n") == 1


def test_background_status_stop(project: Path, data_args: list[str]) -> None:
    run = project / "runs" / "a"
    args = ["--background", *data_args, *ARGS, "--epochs", "1000", "--run-dir", str(run)]
    assert "nothing trains" in launch_sh(project, "status")[1]
    code, words = launch_sh(project, "stop")
    assert (code, words) == (2, "launch.sh: stop: nothing trains in the background\n")

    code, words = launch_sh(project, *args)
    assert code == 0, words
    try:
        wait_for(lambda: last_step(run) >= 5)
        code, words = launch_sh(project, "status")
        assert code == 0
        assert "trains in the background" in words
        assert "images/s" in words
        code, words = launch_sh(project, *args)
        assert code == 2
        assert words.startswith("launch.sh: --background: a run goes on already")
        assert words.count("\n") == 1
    finally:
        since = time.monotonic()
        code, words = launch_sh(project, "stop")
    assert code == 0, words
    assert time.monotonic() - since < 20
    assert "nothing trains in the background" in words
    assert "ended with exit code 143" in words
    assert saved_step(run) == last_step(run) >= 5


@pytest.mark.parametrize(
    ("signum", "whom"),
    [(signal.SIGTERM, os.kill), pytest.param(signal.SIGINT, os.killpg, marks=pytest.mark.slow)],
)
def test_signal_in_the_foreground(
    signum: signal.Signals, whom: Callable[[int, int], None], project: Path, data_args: list[str]
) -> None:
    """SIGTERM to the script alone, as of `docker stop`; Ctrl-C to its group, as of a terminal."""
    run = project / "runs" / "a"
    words = [str(project / "launch.sh"), *data_args, *ARGS, "--epochs", "1000", "--run-dir", str(run)]
    env = os.environ | ON_CPU
    with (project / "out").open("w") as out:
        process = subprocess.Popen(words, cwd=project, env=env, stdout=out, stderr=out, start_new_session=True)
    try:
        wait_for(lambda: last_step(run) >= 5)
    finally:
        whom(process.pid, signum)
    assert process.wait(timeout=60) == 128 + signum, (project / "out").read_text()
    assert saved_step(run) == last_step(run) >= 5
