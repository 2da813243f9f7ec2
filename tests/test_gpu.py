"""What needs a GPU. Not run by us yet."""

import subprocess
from pathlib import Path

import pytest

from benchmarks.world_size import largest_difference, train
from tests.conftest import ROOT, tool

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def visible_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")


def train_on_gpu(config: str, folder: Path, *options: object) -> Path:
    """Train with one of accelerate_configs/ -> the run folder."""
    yaml, script = ROOT / "accelerate_configs" / config, ROOT / "gan_dist" / "train.py"
    command = [tool("accelerate"), "launch", "--config_file", yaml, script, "--run-dir", folder, *options]
    subprocess.run([str(word) for word in command], check=True, timeout=300)
    return folder


@pytest.mark.parametrize("recipe", ["linear", "conv"])
def test_gpu_gives_the_cpus_numbers(
    recipe: str, data_args: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = ["--recipe", recipe, "--batch-size", 8, "--dtype", "float64", "--max-steps", 20, *data_args]
    gpu = train_on_gpu("gpu_1.yaml", tmp_path / "gpu", *args)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert largest_difference(train(1, tmp_path / "cpu", *args), gpu) < 1e-8


@pytest.mark.parametrize("config", ["gpu_1.yaml", "gpu_1_bf16.yaml"])
def test_gpu_resumes_exactly(config: str, data_args: list[str], tmp_path: Path) -> None:
    never_stopped = train_on_gpu(config, tmp_path / "never_stopped", *data_args, "--max-steps", 100)
    train_on_gpu(config, tmp_path / "run", *data_args, "--max-steps", 50)
    resumed = train_on_gpu(config, tmp_path / "run", *data_args, "--max-steps", 100)
    assert largest_difference(never_stopped, resumed) == 0
