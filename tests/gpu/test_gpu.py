"""What needs a GPU; docs/status.md says whether it was run."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.world_size import largest_difference, launch_line, train
from gan_dist.storage.metrics_file import read_rows
from tests.conftest import DATA_DIR, NUM_GPUS, ROOT, VISIBLE_GPUS
from tests.harness.runs import difference, hang_rank_1, last_step, start_command, wait_until

pytestmark = pytest.mark.gpu
two_gpus = pytest.mark.skipif(NUM_GPUS < 2, reason="needs two GPUs")


@pytest.fixture(autouse=True)
def visible_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", ",".join((VISIBLE_GPUS or "0,1").split(",")[:2]))


def start(config: str, script: str, *args: object) -> subprocess.Popen[str]:
    """Launch with one of accelerate_configs/."""
    return start_command(launch_line(config, [], script, *args))


def train_on_gpu(config: str, folder: Path, *options: object) -> Path:
    """Train to the end -> the run folder."""
    process = start(config, "gan_dist/train.py", "--run-dir", folder, *options)
    words, _ = process.communicate(timeout=300)
    assert process.returncode == 0, words
    return folder


@pytest.mark.parametrize("placement", ["host", "device"])
@pytest.mark.parametrize("recipe", ["linear", "conv"])
def test_gpu_gives_the_cpus_numbers(
    recipe: str, placement: str, data_args: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = [*data_args, "--recipe", recipe, "--batch-size", 8, "--dtype", "float64", "--max-steps", 20]
    gpu = train_on_gpu("gpu_1", tmp_path / "gpu", *args, "--data-placement", placement)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert largest_difference(train(1, tmp_path / "cpu", *args), gpu) < 1e-8


@pytest.mark.parametrize(("config", "processes"), [("cpu_1", 1), ("cpu_2", 2)])
def test_cpu_configs_train_on_the_cpu(config: str, processes: int, data_args: list[str], tmp_path: Path) -> None:
    process = start(config, "gan_dist/train.py", *data_args, "--max-steps", 1, "--run-dir", tmp_path / "run")
    words, _ = process.communicate(timeout=120)
    assert process.returncode == 0, words
    assert f"on cpu, world size {processes}," in words
    (row,) = read_rows(tmp_path / "run" / "metrics.jsonl")
    assert row["peak_memory_gb"] > 0.05  # of the process, not of a GPU that it does not use
    assert "gpu_utilization" not in row


def test_launch_sh_finds_gpus_that_compute() -> None:
    done = subprocess.run([sys.executable, "-m", "gan_dist.distributed.gpus"], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == str(min(2, NUM_GPUS)), done.stderr


def test_stop_waits_for_few_steps_of_the_gpu() -> None:
    """The host sends steps faster than the GPU ends them; a stop would have to wait for all that were sent."""
    words, _ = start("gpu_1", "tests/programs/stopping.py").communicate(timeout=120)
    steps, seconds = re.search(r"(\d+) steps, ([\d.]+) s, closed", words).groups()  # type: ignore[union-attr]
    assert int(steps) <= 20
    assert float(seconds) < 3


@two_gpus
def test_each_process_opens_its_own_gpu_alone(data_args: list[str], tmp_path: Path) -> None:
    process = start("gpu_all", "tests/programs/contexts.py", *data_args, "--run-dir", tmp_path / "run")
    words, _ = process.communicate(timeout=120)
    for index in (0, 1):
        assert f"process {index} has opened [{index}]" in words


def test_copies_made_ahead_arrive_whole(data_args: list[str], tmp_path: Path) -> None:
    """125 of them while steps are under way, against images that were on the GPU from the start."""
    args = [*data_args, "--deterministic", "--max-steps", 1000, "--log-every", 1000, "--sample-every", 1000]
    host, device = (
        train_on_gpu("gpu_1", tmp_path / place, *args, "--data-placement", place) for place in ("host", "device")
    )
    assert difference(host, device) == ""


@pytest.mark.parametrize("config", ["gpu_1", "gpu_1_bf16", "gpu_1_fp16", "gpu_1_compiled"])
@pytest.mark.parametrize("recipe", ["linear", "conv"])
def test_gpu_resumes_exactly(recipe: str, config: str, data_args: list[str], tmp_path: Path) -> None:
    """With --deterministic the same bits; fp16 with both loss scalers, which have by then skipped the first steps."""
    args = [*data_args, "--recipe", recipe, "--deterministic", "--log-every", 50, "--sample-every", 50]
    never_stopped = train_on_gpu(config, tmp_path / "never_stopped", *args, "--max-steps", 100)
    train_on_gpu(config, tmp_path / "run", *args, "--max-steps", 50)
    assert difference(never_stopped, train_on_gpu(config, tmp_path / "run", *args, "--max-steps", 100)) == ""
    row = read_rows(tmp_path / "run" / "metrics.jsonl")[-1]
    assert row["peak_memory_gb"] > 0.001
    assert 0 <= row.get("gpu_utilization", 0) <= 100  # not every driver tells
    if "fp16" in config.replace("bf16", ""):
        assert row["loss_scale_d"] >= 1
        assert row["loss_scale_g"] >= 1
        assert row["skipped_d"] < 50
        assert row["skipped_g"] < 50


@pytest.mark.parametrize("recipe", ["linear", "mnist"])
@pytest.mark.parametrize("placement", ["host", "device"])
@pytest.mark.parametrize("precision", ["no", "bf16", "fp16"])
def test_no_step_waits_for_the_gpu(
    precision: str, placement: str, recipe: str, data_args: list[str], tmp_path: Path
) -> None:
    args = ["--mixed-precision", precision, "--data-placement", placement, "--clip-grad-norm", 1, "--accumulate", 2]
    args += ["--recipe", recipe]
    process = start("gpu_1", "tests/programs/no_sync.py", *data_args, *args, "--run-dir", tmp_path / "run")
    words, _ = process.communicate(timeout=120)
    assert process.returncode == 0, words
    assert "it would have been told" in words


def test_matmul_precision_reaches_products_and_convolutions(data_args: list[str], tmp_path: Path) -> None:
    if torch.cuda.get_device_capability() < (8, 0):
        pytest.skip("TF32 needs Ampere or newer")
    args = [*data_args, "--recipe", "conv", "--max-steps", 1, "--deterministic"]
    exact = train_on_gpu("gpu_1", tmp_path / "float64", *args, "--dtype", "float64")
    runs = {
        name: train_on_gpu("gpu_1", tmp_path / name, *args, "--matmul-precision", name) for name in ("highest", "high")
    }
    apart = {name: largest_gradient_difference(run, exact) for name, run in runs.items()}
    assert apart["highest"] < 1e-5
    assert apart["high"] > 10 * apart["highest"]


def largest_gradient_difference(run: Path, other: Path) -> float:
    """Of the norms of both networks' gradients, as a part."""
    a, b = (read_rows(folder / "metrics.jsonl")[-1] for folder in (run, other))
    return max(abs(a[name] / b[name] - 1) for name in ("grad_norm_d", "grad_norm_g"))


@two_gpus
@pytest.mark.parametrize("recipe", ["linear", "conv"])
def test_two_gpus_give_the_numbers_of_one(recipe: str, data_args: list[str], tmp_path: Path) -> None:
    args = [*data_args, "--recipe", recipe, "--batch-size", 8, "--dtype", "float64", "--max-steps", 20]
    one, two = (train_on_gpu(f"gpu_{n}", tmp_path / n, *args) for n in ("1", "all"))
    assert largest_difference(one, two) < 1e-10
    resumed = train_on_gpu("gpu_1", two, *args, "--max-steps", 30)  # begun on two
    never_stopped = train_on_gpu("gpu_1", tmp_path / "never_stopped", *args, "--max-steps", 30)
    assert largest_difference(resumed, never_stopped) < 1e-10


@two_gpus
def test_nccl_takes_a_hanging_rank_for_dead(data_args: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    args = [*data_args, "--run-dir", folder, "--log-every", 10, "--timeout-minutes", 0.25]
    process = start("gpu_all", "gan_dist/train.py", *args)
    wait_until(lambda: last_step(folder) >= 10, process)
    assert hang_rank_1(process, patience=120) < 90
    assert process.returncode


def test_table_of_speeds(tmp_path: Path) -> None:
    options = ["--recipes", "linear", "--batch-sizes", "64", "--processes", "1", "--data-dir", DATA_DIR]
    command = [sys.executable, "-m", "benchmarks.gpu", *options, "--out", tmp_path / "gpu.md"]
    subprocess.run([str(word) for word in command], check=True, cwd=ROOT, timeout=300)
    table = [line for line in (tmp_path / "gpu.md").read_text().splitlines() if line.startswith("| linear")]
    assert len(table) == 6
    assert not any("not measured" in line for line in table)
