"""Quality as a number: the command, and evaluation while a run trains."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

import gan_dist
from benchmarks.world_size import largest_difference, train
from gan_dist.data.mnist import load_images, load_labels
from gan_dist.data.order import permutation
from gan_dist.errors import UserError
from gan_dist.evaluation.distances import moments
from gan_dist.evaluation.evaluator import Evaluator
from gan_dist.evaluation.features import extract, load_extractor
from gan_dist.storage.metrics_file import read_rows
from tests.conftest import DATA_DIR, ROOT, launch


def evaluate(*args: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gan_dist.evaluate", *map(str, args), "--data-dir", str(DATA_DIR)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOT)


@pytest.fixture(scope="module")
def real_digits() -> dict[str, tuple[Tensor, Tensor]]:
    try:
        sets = {
            split: (load_images("mnist", str(DATA_DIR), split), load_labels("mnist", str(DATA_DIR), split))
            for split in ("train", "test")
        }
    except UserError as error:
        pytest.skip(str(error))
    return {name: (torch.tensor(images), torch.tensor(labels)) for name, (images, labels) in sets.items()}


@pytest.mark.parametrize("dataset", ["mnist", "fashion-mnist"])
def test_extractor_knows_its_classes(dataset: str) -> None:
    try:
        place = dataset, str(DATA_DIR), "test"
        images, labels = torch.tensor(load_images(*place)), torch.tensor(load_labels(*place))
    except UserError as error:
        pytest.skip(str(error))
    extractor = load_extractor(dataset)
    assert extractor is not None
    features, classes = extract(extractor.network, images)
    assert (classes == labels).double().mean() >= {"mnist": 0.994, "fashion-mnist": 0.92}[dataset]
    known = extractor.splits["test"].moments
    torch.testing.assert_close(moments(features).covariance, known.covariance, rtol=1e-4, atol=1e-4)


def test_floor_is_that_of_real_images(real_digits: dict[str, tuple[Tensor, Tensor]]) -> None:
    images, labels = real_digits["train"]
    chosen = torch.from_numpy(permutation(0, 0, len(images))[:10_000])
    real = images[chosen].unsqueeze(1).float() / 127.5 - 1
    evaluator = Evaluator("mnist", str(DATA_DIR))
    report = evaluator(lambda rows: real[rows.start : rows.stop], labels[chosen].long())
    assert report is not None
    assert report | {"num": 10_000} == pytest.approx(evaluator.description["floor"], rel=1e-3)
    for spoilt in (real.roll(2, 2), (real + 0.3 * torch.randn(real.shape)).clamp(-1, 1), real[labels[chosen] != 3]):
        worse = Evaluator("mnist", str(DATA_DIR), num=len(spoilt))(lambda rows, x=spoilt: x[rows.start : rows.stop])  # type: ignore[misc]
        assert worse is not None
        assert worse["frechet_distance"] > 3 * report["frechet_distance"]


def test_command(run_200: Path, tmp_path: Path) -> None:
    done = evaluate(run_200, "--num", 500, "--json", "--neighbours", tmp_path / "near.png")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["frechet_distance"] > 10 * report["floor"]["frechet_distance"]
    assert (report["num"], report["split"], report["extractor"], len(report["sha256"])) == (500, "test", "mnist", 64)
    assert Image.open(tmp_path / "near.png").size == (8 * 30, 6 * 30)
    table = evaluate(run_200 / "generator", "--num", 500).stdout
    assert f"{report['frechet_distance']:.4g}" in table
    assert "real images" in table


def test_command_on_pictures(tmp_path: Path) -> None:
    for i in range(12):
        Image.new("L", (28, 28), color=20 * i).save(tmp_path / f"{i}.png")
    report = json.loads(evaluate(tmp_path, "--json").stdout)
    assert report["num"] == 12
    assert report["frechet_distance"] > 0


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["nowhere"], "nowhere: no such folder"),
        (["--num", "3"], "too few to measure"),
        (["--dataset", "cats"], "--dataset cats: no such data set"),
        (["--which", "best"], "has no best generator"),
        (["--seed", "x"], "--seed x: must be a whole number"),
    ],
)
def test_bad_input_is_one_line(args: list[str], words: str, run_200: Path) -> None:
    done = evaluate(*args) if args == ["nowhere"] else evaluate(run_200, *args)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert words in done.stderr


def test_picture_of_a_grid_is_refused(run_200: Path) -> None:
    done = evaluate(run_200 / "img")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "not 28 by 28; one image to a file" in done.stderr


def test_number_of_processes_does_not_matter() -> None:
    one, two, three = (
        json.loads(launch(n, "tests/programs/evaluation.py", DATA_DIR).stdout.splitlines()[-1]) for n in (1, 2, 3)
    )
    assert one == pytest.approx(two, abs=1e-8)
    assert one == pytest.approx(three, abs=1e-8)


def test_evaluation_changes_nothing_and_resumes(data_args: list[str], tmp_path: Path) -> None:
    """A run that is evaluated has the weights of one that is not; its best generator survives a stop and a resume."""
    args = [*data_args, "--recipe", "mnist", "--lr-schedule", "constant", "--batch-size", 16]
    args += ["--checkpoint-every", 20, "--eval-images", 300]
    quiet = train(1, tmp_path / "quiet", *args, "--max-steps", 60)
    often = ["--eval-every", 0.004]
    whole = train(1, tmp_path / "whole", *args, *often, "--max-steps", 60)
    assert largest_difference(quiet, whole) == 0
    train(1, tmp_path / "run", *args, *often, "--max-steps", 40)
    run = train(1, tmp_path / "run", *args, *often, "--max-steps", 60)
    rows = []
    for folder in (whole, run):
        evaluated = [row for row in read_rows(folder / "metrics.jsonl") if "eval_recall" in row]
        rows.append({row["step"]: row["eval_frechet_distance"] for row in evaluated})
    assert len(rows[0]) > 3
    assert {step: figure for step, figure in rows[1].items() if step in rows[0]} == rows[0]
    best = [sorted((folder / "best").iterdir())[-1] for folder in (whole, run)]
    if best[0].name == best[1].name:  # the end of the first part of the run had an evaluation of its own
        a, b = (load_file(folder / "model.safetensors") for folder in best)
        assert all(torch.equal(a[name], b[name]) for name in a)
    generator = gan_dist.load_generator(whole, which="best")
    assert generator(torch.zeros(2, 64), torch.tensor([1, 2])).shape == (2, 1, 28, 28)
    assert generator(torch.zeros(2, 64)).shape == (2, 1, 28, 28)  # draws its labels itself
