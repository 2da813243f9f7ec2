"""The command `evaluate` on a run and on PNG files; the same figures from any number of processes."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_dist.data.mnist import load_images
from gan_dist.storage.metrics_file import read_rows
from tests.conftest import DATA_DIR, ROOT, together, train
from tests.harness import forked


def evaluate(*args: object) -> subprocess.CompletedProcess[str]:
    return forked.run("-m", "gan_dist.evaluate", *args, "--data-dir", DATA_DIR, folder=ROOT)


@pytest.fixture(scope="module")
def digits_5k(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    return load_images("mnist-5k", str(tmp_path_factory.mktemp("data")))


@pytest.fixture
def pngs(digits_5k: np.ndarray, tmp_path: Path) -> Path:
    """A folder with 300 digits, in folders by class."""
    for i in range(300):
        file = tmp_path / "pngs" / str(i // 30) / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(digits_5k[500 * (i // 30) + i % 30]).save(file)
    return tmp_path / "pngs"


def test_run(run_200: Path, tmp_path: Path) -> None:
    picture = tmp_path / "beside.png"
    done = evaluate(run_200, "--num", 500, "--json", "--neighbours", picture)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["frechet_distance"] > 10 * report["floor"]["frechet_distance"]  # after 200 steps
    assert (report["num"], report["split"], report["extractor"]) == (500, "test", "mnist")
    assert len(report["sha256"]) == 64
    assert "as_asked" not in report  # it takes no labels
    with Image.open(picture) as image:
        assert image.size == (240, 240)  # 16 images and 3 neighbours each
    other = json.loads(evaluate(run_200, "--num", 500, "--json", "--seed", 1).stdout)
    assert other["frechet_distance"] == pytest.approx(report["frechet_distance"], rel=0.1)
    assert other["frechet_distance"] != report["frechet_distance"]


@pytest.mark.slow
def test_checkpoint_and_weights_are_the_same_generator(run_200: Path) -> None:
    (checkpoint,) = (run_200 / "checkpoints").glob("step_00000200")
    reports = [evaluate(path, "--num", 100, "--json").stdout for path in (checkpoint, run_200 / "generator")]
    assert json.loads(reports[0]) == json.loads(reports[1])


@pytest.mark.slow
def test_command_says_what_training_said(data_args: list[str], tmp_path: Path) -> None:
    """The same numbers, from the weights and from the checkpoint: with the noise, labels and seed of the run."""
    args = [*data_args, "--recipe", "mnist", "--batch-size", 16, "--eval-every", 1, "--eval-images", 300]
    run = train(1, tmp_path / "run", *args, "--max-steps", 20, "--seed", 5)
    row = read_rows(run / "metrics.jsonl")[-1]
    expected = {name.removeprefix("eval_"): figure for name, figure in row.items() if name.startswith("eval_")}
    del expected["seconds"]
    assert "as_asked" in expected
    for path in (run, run / "checkpoints" / "step_00000020"):
        report = json.loads(evaluate(path, "--num", 300, "--json").stdout)
        assert {name: report[name] for name in expected} == expected


def test_png_files(pngs: Path) -> None:
    done = evaluate(pngs, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["num"], report["dataset"]) == (300, "mnist")
    assert report["digit_kl"] < 0.02
    table = evaluate(pngs, "--num", 100).stdout
    assert table.startswith(f"{pngs}: 100 images, against the test images of mnist")
    assert all(name in table for name in report["floor"] if name not in ("num", "as_asked"))


def test_grid_is_no_image(pngs: Path) -> None:
    grid = pngs / "5" / "grid.png"
    Image.fromarray(np.zeros((60, 60), np.uint8)).save(grid)
    done = evaluate(pngs)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"error: {grid}: is 60 x 60 of mode L, not 28 x 28 of mode L; ")


def test_few_png_files(pngs: Path) -> None:
    for file in pngs.rglob("*[1-9].png"):
        file.unlink()
    for file in sorted(pngs.rglob("*.png"))[9:]:
        file.unlink()
    done = evaluate(pngs)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "9 images are too few" in done.stderr


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["nowhere"], "nowhere: no generator there"),
        (["nowhere", "--num", "9"], "--num 9: must be at least 10"),
        (["nowhere", "--num", "many"], "--num many: must be a whole number"),
        (["nowhere", "--seed", "-1"], "--seed -1: must be from 0"),
        (["nowhere", "--split", "all"], "argument --split: invalid choice"),
        (["nowhere", "--neighbours", "nowhere/a.png"], "--neighbours nowhere/a.png: there is no folder nowhere"),
        (["nowhere", "--neighbours", "a.xyz"], "--neighbours a.xyz: must be the name of a .png file"),
        (["tests/programs"], "tests/programs: no generator there"),
        (["nowhere", "--bad"], "unrecognized arguments: --bad"),
        ([], "the following arguments are required: source"),
    ],
)
def test_bad_input_is_one_line(args: list[str], expected: str) -> None:
    done = evaluate(*args)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert done.stderr.startswith(f"error: {expected}")


@pytest.mark.slow
def test_number_of_processes_does_not_matter(data_args: list[str], tmp_path: Path) -> None:
    figures = []
    for num_processes in (1, 2, 3):  # with 3 each makes one chunk, with 2 one of them makes two
        file = tmp_path / f"{num_processes}.json"
        together(num_processes, "tests/programs/evaluate.py", file, "mnist", DATA_DIR)
        figures.append(json.loads(file.read_text()))
    assert figures[0]["frechet_distance"] > 1
    assert figures[1:] == [figures[0]] * 2  # the same bits
