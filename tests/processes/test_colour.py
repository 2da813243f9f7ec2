"""Pictures in colour that are not square, through a whole run: on several processes, resumed, shown, measured."""

import io
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import gan_dist
from benchmarks.world_size import largest_difference
from gan_dist.storage.metrics_file import read_rows
from tests.conftest import ROOT, launch, together
from tests.harness import forked
from tests.harness.wandb_server import WandbServer

PROGRAM = "tests/programs/colour.py"
OPTIONS = [
    "--recipe",
    "mnist",
    "--batch-size",
    "12",
    "--mirror",
    "--augment",
    "translation",
    "--dtype",
    "float64",
    "--log-every",
    "5",
    "--num-samples",
    "5",
    "--sample-every",
    "10",
    "--eval-images",
    "60",
    "--lr-schedule",
    "constant",
    "--checkpoint-every",
    "10",
]


def train(num_processes: int, folder: Path, *options: object) -> Path:
    together(num_processes, PROGRAM, "--run-dir", folder, *OPTIONS, "--tracker", "none", *options)
    return folder


def run_command(*words: object) -> subprocess.CompletedProcess[str]:
    return forked.run(*words, folder=ROOT)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 steps in one process."""
    return train(1, tmp_path_factory.mktemp("colour") / "run", "--max-steps", 20)


@pytest.mark.slow
def test_number_of_processes_does_not_matter(one: Path, tmp_path: Path) -> None:
    two = train(2, tmp_path / "run", "--max-steps", 20)
    assert largest_difference(one, two) < 1e-10
    figures, same = (read_rows(folder / "metrics.jsonl")[-1] for folder in (one, two))
    assert figures["eval_sliced_distance"] == pytest.approx(same["eval_sliced_distance"], rel=1e-3)


@pytest.mark.slow
def test_resumed_run_is_the_run(one: Path, tmp_path: Path) -> None:
    train(1, tmp_path / "run", "--max-steps", 10)
    assert largest_difference(train(1, tmp_path / "run", "--max-steps", 20), one) == 0
    train(2, tmp_path / "other", "--max-steps", 10)
    assert largest_difference(train(1, tmp_path / "other", "--max-steps", 20), one) < 1e-10


@pytest.mark.slow
def test_mirror_is_part_of_the_mathematics(one: Path, tmp_path: Path) -> None:
    plain = train(1, tmp_path / "plain", "--max-steps", 20, "--no-mirror")
    assert largest_difference(one, plain) > 1e-3
    done = run_command(PROGRAM, "--run-dir", plain, *OPTIONS, "--tracker", "none", "--max-steps", 30)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "--mirror True (was False): a resumed run keeps its mathematics" in done.stderr


def test_what_a_run_leaves(one: Path, tmp_path: Path) -> None:
    for name, size in {"real": (78, 36), "fake_00000020": (78, 36), "interpolation": (208, 144)}.items():
        with Image.open(one / "img" / f"{name}.png") as picture:
            assert (picture.mode, picture.size) == ("RGB", size), name
    with Image.open(one / "samples.gif") as movie:
        assert movie.size == (78, 36)
    for place in (one, one / "checkpoints" / "step_00000020"):
        generator = gan_dist.load_generator(place)
        assert generator.image_shape == (3, 16, 24)
        with torch.no_grad():
            assert generator(torch.zeros(2, 64), torch.tensor([1, 2])).shape == (2, 3, 16, 24)
    done = run_command("-m", "gan_dist.generate", one, "--num", 4, "--digit", 2, "--out", tmp_path / "x.png")
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "x.png") as picture:
        assert (picture.mode, picture.size) == ("RGB", (52, 36))
    done = run_command("-m", "gan_dist.evaluate", one)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"error: {one}: was trained on spots; name with --dataset what to compare with\n"


@pytest.mark.slow
def test_dashboards_show_colours(tmp_path: Path) -> None:
    folder, trackio = tmp_path / "run", tmp_path / "trackio"
    with WandbServer() as server:
        options = [*OPTIONS, "--tracker", "wandb,trackio,tensorboard", "--max-steps", 2, "--eval-every", 0]
        launch(1, PROGRAM, "--run-dir", folder, *options, TRACKIO_DIR=str(trackio), **server.environment)
        (run,) = server.runs.values()
        (place,) = (row["samples/real"]["path"] for row in run.history() if "samples/real" in row)
        in_wandb = server.pictures(run.run_id)[place]
    picture = folder / "img" / "real.png"
    assert np.array_equal(in_wandb, np.asarray(Image.open(picture)))
    assert picture.read_bytes() in [file.read_bytes() for file in trackio.rglob("*.png")]
    (event,) = EventAccumulator(str(folder / "tensorboard")).Reload().Images("samples/real")
    in_tensorboard = np.asarray(Image.open(io.BytesIO(event.encoded_image_string)))
    assert np.array_equal(in_tensorboard, np.asarray(Image.open(picture)))
