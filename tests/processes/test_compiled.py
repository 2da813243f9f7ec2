"""Networks that Accelerate compiles: the numbers of plain ones, and an exact resume."""

import re
import shutil
from pathlib import Path

import pytest

from benchmarks.world_size import largest_difference, launch_command
from tests.conftest import train
from tests.harness.runs import start_command

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("g++"), reason="on a CPU the compiler of torch.compile needs a C++ compiler"),
]
# Step 8 has a penalty, which does not go through what was compiled.
OPTIONS = ["--recipe", "mnist", "--dtype", "float64", "--lr-schedule", "constant", "--batch-size", "16"]
OPTIONS += ["--sample-every", "100", "--num-samples", "4"]


def train_compiled(num_processes: int, folder: Path, *options: object) -> tuple[Path, str]:
    """Train in CPU processes -> the run folder and what the run said."""
    command = launch_command(num_processes, "gan_dist/train.py", "--run-dir", folder, *options)
    command[2:2] = ["--dynamo_backend", "inductor"]
    process = start_command(command)
    words, _ = process.communicate(timeout=300)
    assert process.returncode == 0, words
    return folder, words


def test_compiled_networks_give_the_numbers_of_plain_ones(data_args: list[str], tmp_path: Path) -> None:
    options = [*data_args, *OPTIONS, "--max-steps", 10]
    plain = train(1, tmp_path / "plain", *options)
    for num_processes in (1, 2):
        run, words = train_compiled(num_processes, tmp_path / str(num_processes), *options)
        assert re.search(r"^on cpu, .*, compiled by inductor in \d+ s$", words, re.MULTILINE)
        assert 0 < largest_difference(plain, run) < 1e-10  # not the same bits: it was compiled


def test_compiled_run_resumes_exactly(data_args: list[str], tmp_path: Path) -> None:
    options = [*data_args, *OPTIONS]
    whole, _ = train_compiled(1, tmp_path / "whole", *options, "--max-steps", 10)
    parts, _ = train_compiled(1, tmp_path / "parts", *options, "--max-steps", 6)
    train_compiled(1, parts, *options, "--max-steps", 10, "--resume", "auto")
    assert largest_difference(whole, parts) == 0
