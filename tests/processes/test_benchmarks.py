"""Benchmarks of quality, in a short form."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gan_dist.data.mnist import load_images
from gan_dist.errors import UserError
from tests.conftest import DATA_DIR, ROOT


def run(script: str, *args: object) -> str:
    command = [sys.executable, f"benchmarks/{script}", *map(str, args)]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_time_to_quality(data_args: list[str], tmp_path: Path) -> None:
    options = ["--eval-every", 0.05, "--max-steps", 150, "--eval-images", 300, "--batch-size", 16]
    table = run(
        "time_to_quality.py", "--recipes", "mnist", "linear", *data_args[: data_args.index("--recipe")], *options
    )
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    assert [row[0] for row in rows] == ["mnist", "linear"]
    assert all(row[-1].split()[-1] == "s" and float(row[-1].split()[-2]) > 0 for row in rows)
    assert any(cell.endswith(" s") for cell in rows[0][1:-1])


@pytest.mark.slow
def test_extractor_can_be_trained_anew(tmp_path: Path) -> None:
    try:
        load_images("mnist", str(DATA_DIR), "test")
    except UserError as error:
        pytest.skip(str(error))
    words = run("train_extractor.py", "--epochs", 1, "--data-dir", DATA_DIR, "--out", tmp_path)
    assert float(words.split("right on ")[2].split("%")[0]) > 95
    assert (tmp_path / "mnist.safetensors").stat().st_size < 400_000
