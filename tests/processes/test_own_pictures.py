"""Runs on a folder of pictures."""

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.world_size import largest_difference
from gan_dist.storage.metrics_file import read_rows
from tests.conftest import ROOT, launch, train, train_alone
from tests.harness import forked
from tests.harness.pictures import fill, noise, save

QUIET = ["--recipe", "linear", "--model", "dcgan", "--eval-every", 0, "--tracker", "none"]
SMALL = [*QUIET, "--conditional", "--batch-size", 8, "--image-size", 8, "--dtype", "float64", "--num-samples", 4]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Grey pictures in two classes."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("cats", "dogs"):
        fill(tmp_path / "mine" / name, 20, size=12, channels=1)
    return tmp_path / "mine"


@pytest.mark.slow
def test_number_of_processes_does_not_matter(folder: Path, tmp_path: Path) -> None:
    args = [*SMALL, "--dataset", folder, "--max-steps", 10]
    one, two = (train(num, tmp_path / str(num), *args) for num in (1, 2))
    assert largest_difference(one, two) < 1e-10
    card = (one / "generator" / "README.md").read_text()
    assert "trained on mine:" in card
    assert str(tmp_path) not in card


@pytest.mark.slow
def test_colours_are_trained_on_measured_and_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("cats", "dogs"):
        fill(tmp_path / "mine" / name, 20, size=12)
    mine, run = tmp_path / "mine", tmp_path / "run"
    options = ["--recipe", "mnist", "--batch-size", 8, "--image-size", 8, "--eval-images", 50, "--epochs", 1]
    train(1, run, *options, "--tracker", "none", "--dataset", mine)
    (figures,) = (row for row in read_rows(run / "metrics.jsonl") if "eval_sliced_distance" in row)
    options = ["--num", 50, "--json", "--dataset", mine, "--neighbours", tmp_path / "beside.png"]
    done = forked.run("-m", "gan_dist.evaluate", run, *options, folder=ROOT)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["dataset"], report["split"], report["num"]) == ("mine", "train", 50)
    assert report["sliced_distance"] == pytest.approx(figures["eval_sliced_distance"], rel=1e-3)
    with Image.open(tmp_path / "beside.png") as picture:
        assert picture.mode == "RGB"


@pytest.mark.slow
def test_moved_folder_goes_on_and_other_pictures_do_not(folder: Path, tmp_path: Path) -> None:
    whole = train(1, tmp_path / "whole", *SMALL, "--dataset", folder, "--max-steps", 6)
    run = train(1, tmp_path / "run", *SMALL, "--dataset", folder, "--max-steps", 3)
    moved = folder.rename(tmp_path / "moved")
    os.utime(moved / "cats" / "0.png", (1, 1))
    (moved / "README.txt").touch()
    args = [*SMALL, "--dataset", moved, "--run-dir", run, "--max-steps"]
    train(1, run, *args, 6)
    assert largest_difference(whole, run) == 0

    save(noise(12, 99, channels=1), moved / "cats" / "0.png")
    before = sorted(run.rglob("*"))
    done = train_alone(*args, 9)
    assert done.returncode == 2, done.stderr
    error = "error: --dataset moved: its images [40, 1, 8, 8] or labels are not those that the run was trained on"
    assert done.stderr.splitlines()[-1].startswith(error)
    done = train_alone(*args, 9, "--dataset", "mnist-5k")
    assert done.stderr.splitlines()[-1].startswith("error: --dataset mnist-5k (was ")
    assert sorted(run.rglob("*")) == before


def test_bad_pictures_are_one_line_and_no_run(folder: Path, tmp_path: Path) -> None:
    (folder / "cats" / "0.png").write_bytes(b"no picture")
    args = [*SMALL, "--dataset", folder, "--run-dir", tmp_path / "run"]
    done = train_alone(*args)
    assert done.returncode == 2
    words = "1 of 40 pictures are damaged: cats/0.png (is no picture); delete them, or take --skip-damaged"
    assert done.stderr == f"error: --dataset {folder}: {words}\n"
    (folder / "loose.png").write_bytes((folder / "dogs" / "0.png").read_bytes())
    done = train_alone(*args, "--skip-damaged")
    assert done.returncode == 2
    words = "has no labels, which --conditional needs; take --recipe pictures, or --clusters 10, say"
    assert done.stderr.splitlines()[-1].startswith(f"error: --dataset {folder}: {words}")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_others_wait_longer_than_their_patience(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures that take longer to pack than a silent process counts as alive."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    first = save(noise(2000, channels=1), tmp_path / "mine" / "0.png")
    for number in range(1, 300):
        os.link(first, first.with_name(f"{number}.png"))
    args = [*QUIET, "--batch-size", 8, "--image-size", 8, "--max-steps", 1, "--timeout-minutes", 0.05]
    done = launch(2, "gan_dist/train.py", *args, "--dataset", first.parent, "--run-dir", tmp_path / "run")
    seconds = float(done.stderr.split("packed 300 pictures in ")[1].split(" s")[0])
    assert seconds > 3, "too fast to show anything"
