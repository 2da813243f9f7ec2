"""Benchmarks, in a short form."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gan_dist.data.mnist import load_images
from gan_dist.errors import UserError
from gan_dist.tracking.summary import seconds_of_training
from tests.conftest import DATA_DIR, ROOT, launch


def run(script: str, *args: object) -> str:
    command = [sys.executable, f"benchmarks/{script}", *map(str, args)]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_evaluations_count_for_no_seconds() -> None:
    rows = [{"images_seen": 100, "images_per_second": 50.0}, {"images_seen": 300, "images_per_second": 100.0}]
    evaluated = {"images_seen": 200, "eval_seconds": 1000.0, "eval_frechet_distance": 7.0}
    assert seconds_of_training([rows[0], evaluated, rows[1]]) == [(3.0, 7.0)]
    assert seconds_of_training([rows[0], evaluated]) == []  # the row that says how long it took is not there yet


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
def test_reliability() -> None:
    table = run("reliability.py", "--data-dir", DATA_DIR, "--stops", 1, "--trials", 2).splitlines()
    pauses = [line.strip("| ").split(" | ") for line in table[2:5]]
    assert [row[0] for row in pauses] == ["linear", "conv", "linear, hidden 6,600"]
    assert all(float(cell.split()[0]) > 0 for row in pauses for cell in row[2:])
    assert [line.split(" | ")[0] for line in table[-2:]] == ["| linear", "| conv"]


@pytest.mark.slow
def test_what_d_says(tmp_path: Path) -> None:
    try:
        for split in ("train", "test"):
            load_images("mnist", str(DATA_DIR), split)
    except UserError as error:
        pytest.skip(str(error))
    args: list[object] = ["--recipe", "linear-r1", "--data-dir", DATA_DIR, "--tracker", "none", "--max-steps", 40]
    args += ["--eval-every", 0, "--checkpoint-every", 20, "--run-dir", tmp_path / "run"]
    launch(1, "gan_dist/train.py", *args)
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


@pytest.fixture(scope="module")
def data(data_args: list[str]) -> list[str]:
    return data_args[:2] if data_args[0] == "--data-dir" else []


def cells(table: str) -> list[list[str]]:
    """Of the rows of all tables in the text, without their heads."""
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    return [row for row in rows if any(cell[0].isdigit() for cell in row[1:])]


@pytest.mark.slow
def test_parts_of_a_step(data: list[str]) -> None:
    rows = cells(run("step.py", "--recipes", "linear", "mnist", "--seconds", 0.5, *data))
    ends = [index for index, row in enumerate(rows) if row[0] == "a step"]
    assert len(ends) == 2
    for start, end in zip([0, ends[0] + 3], ends, strict=True):
        whole = float(rows[end][1])
        assert sum(float(row[1]) for row in rows[start:end]) == pytest.approx(whole, rel=0.05)
        assert rows[end + 1][0].endswith("GFLOP of products")
        assert 0 < float(rows[end + 1][1]) < whole
    assert "running average of G" in [row[0] for row in rows[ends[0] :]]
    # linear: D has 266 thousand weights in its products and G 292; two FLOP for each, and image: D's forward and its
    # weights' gradients see 128 images, all else 64; first layers need no gradient of inputs, but D's for G's update.
    (expected,) = [float(row[0].split()[1]) for row in rows[: ends[0] + 2] if row[0].endswith("GFLOP of products")]
    d, g, first_d, first_g = 784 * 256 + 256 * 256 + 256, 100 * 256 + 256 * 256 + 256 * 784, 784 * 256, 100 * 256
    flop = 2 * (128 * (3 * d - first_d) + 64 * (2 * d + 3 * g - first_g))
    assert expected == pytest.approx(flop / 1e9, rel=0.02)


@pytest.mark.slow
def test_versus_usual_scripts(data: list[str]) -> None:
    ((recipe, *numbers),) = cells(run("versus.py", "--recipes", "linear", "--seconds", 0.2, "--blocks", 3, *data))
    usual, accelerate, ours = map(float, numbers[:3])
    assert recipe == "linear"
    assert ours < min(usual, accelerate)
    assert float(numbers[3].split()[0]) > 1


@pytest.mark.slow
def test_what_a_person_waits_for(data: list[str]) -> None:
    rows = cells(run("startup.py", "--times", 1, "--recipe", "linear", *data))
    assert [row[0] for row in rows[:3]] == ["train.py", "accelerate launch train.py", "./launch.sh"]
    for row in rows[:3]:
        assert float(row[1]) > float(row[2]) > 0
    assert [row[0] for row in rows[3:5]] == ["torch", "accelerate"]


@pytest.mark.slow
def test_cost_of_input_and_memory(data: list[str]) -> None:
    ((recipe, *numbers),) = cells(run("input_cost.py", "--recipes", "linear", "--seconds", 0.2, "--blocks", 3, *data))
    assert recipe == "linear"
    assert all(float(number) > 0 for number in numbers[:2])
    rows = cells(run("memory.py", "--recipes", "linear", "--batch-sizes", 64, 2048, "--steps", 20, *data))
    assert [row[:2] for row in rows] == [["linear", size] for size in ("64", "64", "2048", "2048")]
    peaks = [float(row[-1].replace(",", "")) for row in rows]
    assert min(peaks[2:]) > max(peaks[:2])


@pytest.mark.slow
def test_scaling(data_args: list[str]) -> None:
    table = run("scaling.py", "--recipes", "linear", "--rounds", 1, *data_args).splitlines()
    numbers = [float(cell) for cell in table[2].strip("| ").split(" | ")[1:]]
    assert len(numbers) == 5
    assert min(numbers) > 0


@pytest.mark.slow
def test_slow_link(data_args: list[str]) -> None:
    """20 ms one way: each of the two messages of a step crosses at least twice."""
    command = [sys.executable, "benchmarks/slow_link.py", "--delays", "0", "20", "--recipes", "linear"]
    done = subprocess.run([*command, *map(str, data_args)], capture_output=True, text=True, cwd=ROOT, timeout=300)
    if "needs root" in done.stderr or "Operation not permitted" in done.stderr:
        pytest.skip(done.stderr.strip().splitlines()[-1])
    near, far = (float(cell) for cell in done.stdout.splitlines()[2].strip("| ").split(" | ")[1:])
    assert far - near > 4 * 20 * 0.9
