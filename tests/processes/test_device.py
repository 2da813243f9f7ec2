"""Options of the device: what torch is told, what the log says, and that data placement changes no bit."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gan_dist.config.resolve import parse
from gan_dist.models import names
from tests.conftest import DATA_DIR, ROOT, launch, together, train, train_alone
from tests.harness import forked
from tests.harness.runs import difference


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], ["highest", False, False, None]),
        (["--matmul-precision", "high", "--deterministic"], ["high", True, True, ":4096:8"]),
    ],
)
def test_what_torch_is_told(options: list[str], told: list[object], data_args: list[str], tmp_path: Path) -> None:
    words = together(1, "tests/programs/settings.py", *data_args, *options, "--run-dir", tmp_path / "run")
    assert list(json.loads(words.splitlines()[-1]).values()) == told


def test_the_log_says_how_it_computes(data_args: list[str], tmp_path: Path) -> None:
    args = [*data_args, "--run-dir", tmp_path / "run", "--max-steps", 2]
    done = train_alone(*args, "--deterministic", "--matmul-precision", "high")
    assert done.stdout.startswith(
        "on cpu, world size 1, mixed precision no, float32 products at precision high, deterministic\n"
    )
    other = train_alone(*args, "--deterministic")
    assert (other.returncode, other.stderr.count("\n")) == (2, 1)
    assert "--matmul-precision highest (was high): a resumed run keeps its mathematics" in other.stderr


def test_deterministic_goes_around_in_a_recipe(tmp_path: Path) -> None:
    for option, value in (("--deterministic", True), ("--no-deterministic", False)):
        recipe = tmp_path / "mine.yaml"
        recipe.write_text(parse([option]).to_yaml())
        assert parse(["--recipe", str(recipe)]).run.deterministic is value


@pytest.mark.slow
@pytest.mark.parametrize("num_processes", [1, 2])
def test_data_placement_changes_no_bit(num_processes: int, data_args: list[str], tmp_path: Path) -> None:
    args = [*data_args, "--max-steps", 40, "--accumulate", 2]
    host, device = (
        train(num_processes, tmp_path / place, *args, "--data-placement", place) for place in ("host", "device")
    )
    assert difference(host, device) == ""


@pytest.mark.slow
def test_table_of_speeds(tmp_path: Path) -> None:
    """benchmarks/gpu.sh on the CPU: what cannot be measured there is said."""
    options = ["--cpu", "--recipes", "linear", "--batch-sizes", "64", "--processes", "1", "2"]
    options += ["--variants", "fp32", "bf16", "fp16", "--data-dir", str(DATA_DIR), "--out", str(tmp_path / "gpu.md")]
    command = [str(ROOT / "benchmarks" / "gpu.sh"), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=os.environ | {"VENV": sys.prefix})
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "gpu.md").read_text()
    assert text in done.stdout
    table = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| linear")]
    assert [line[1:4] for line in table] == [["64", name, n] for name in ("fp32", "bf16", "fp16") for n in "12"]
    assert table[0][6] == "1.00"
    for line in table[:4]:
        milliseconds, speed, ratio, memory = map(float, line[4:])
        assert speed == pytest.approx(64 / milliseconds * 1e3, rel=0.01)
        assert ratio == pytest.approx(float(table[0][4]) / milliseconds, rel=0.02, abs=0.006)  # has two digits
        assert 0.1 < memory < 10
    assert {line[4] for line in table[4:]} == {"not measured"}


def test_table_of_speeds_needs_a_gpu() -> None:
    done = forked.run("-m", "benchmarks.gpu", folder=ROOT)
    assert done.returncode == 2
    assert done.stderr == "error: --processes 1: torch sees 0 GPUs; ./launch.sh says why; or add --cpu\n"


@pytest.mark.slow
def test_machine_whose_accelerator_is_strange(data_args: list[str], tmp_path: Path) -> None:
    """A CPU run asks nothing of an accelerator that it does not use."""
    args = [*data_args, "--max-steps", 3, "--run-dir", tmp_path / "run"]
    launch(1, "tests/programs/strange_accelerator.py", *args, PYTHONPATH=str(ROOT))


@pytest.mark.parametrize("hidden", [pytest.param([], marks=pytest.mark.slow), ["pynvml", "amdsmi"]])
def test_readings_do_not_need_the_driver(hidden: list[str]) -> None:
    """Of a GPU that is not there, with NVML and without it, as with AMD's GPUs."""
    code = f"import sys; sys.modules.update(dict.fromkeys({hidden}))\n"
    code += "import torch; from gan_dist.distributed.numerics import readings\n"
    code += "print(readings(torch.device('cuda')), readings(torch.device('cpu')).keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "{'peak_memory_gb': 0.0} dict_keys(['peak_memory_gb'])\n", done.stderr


@pytest.mark.slow
def test_step_mixes_no_devices() -> None:
    """On a device that only has shapes: every tensor of a step is there."""
    pytest.importorskip("torch", "2.12", reason="older torch has no device of this kind")
    done = launch(1, "tests/programs/fake_gpu.py", PYTHONPATH=str(ROOT))
    *steps, told = done.stdout.splitlines()
    assert steps == [f"{model} {parts} {scaled}" for model in names() for parts in (1, 2) for scaled in (False, True)]
    assert "found at least two devices" in told  # it would have been told
