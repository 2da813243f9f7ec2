"""Benchmarks of quality, in a short form."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gan_dist.data.mnist import load_images
from gan_dist.errors import UserError
from tests.conftest import DATA_DIR, ROOT, launch


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
def test_tables_of_runs(tmp_path: Path) -> None:
    try:
        for split in ("train", "test"):
            load_images("mnist", str(DATA_DIR), split)
    except UserError as error:
        pytest.skip(str(error))
    args: list[object] = ["--recipe", "linear-r1", "--data-dir", DATA_DIR, "--tracker", "none", "--max-steps", 40]
    args += ["--eval-every", 20 / 937, "--eval-images", 100, "--checkpoint-every", 20, "--run-dir", tmp_path / "run"]
    launch(1, "gan_dist/train.py", *args)
    _, _, ours, real = run("quality.py", tmp_path / "run").splitlines()
    assert ours.startswith("| run | 2,560 | ")
    assert real.startswith("| real images | | 0.105 | 1 |")
    growth = run("quality.py", tmp_path / "run", "--at", 1, 2, 3).splitlines()[-1].strip("| ").split(" | ")
    assert growth[3] == "-"
    assert float(growth[4].split()[0]) == min(map(float, growth[1:3]))
    table = run("memorising.py", tmp_path / "run", "--data-dir", DATA_DIR).splitlines()[2:]
    assert len(table) == 2
    train, test, generated = map(float, table[-1].strip("| ").split(" | ")[2:])
    assert abs(train - test) < abs(train - generated)  # D tells images from noise, and after 40 steps no more


@pytest.mark.slow
def test_extractor_can_be_trained_anew(tmp_path: Path) -> None:
    try:
        load_images("mnist", str(DATA_DIR), "test")
    except UserError as error:
        pytest.skip(str(error))
    words = run("train_extractor.py", "--epochs", 1, "--data-dir", DATA_DIR, "--out", tmp_path)
    assert float(words.split("right on ")[2].split("%")[0]) > 95
    assert (tmp_path / "mnist.safetensors").stat().st_size < 400_000
