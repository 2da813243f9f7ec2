"""The command `generate`: what --out chooses, what stays the same, what is wrong."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_dist.data.dataset import load_dataset
from gan_dist.evaluation.files import read_pngs
from gan_dist.models import dcgan
from gan_dist.storage.weights import save_weights
from tests.conftest import ROOT
from tests.harness import forked


def generate(*args: object) -> subprocess.CompletedProcess[str]:
    return forked.run("-m", "gan_dist.generate", *args, folder=ROOT, timeout=120)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a generator with ten classes, as training writes them, of no training."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("labelled") / "generator"
    arguments = json.dumps({"latent_dim": 8, "image_shape": [1, 16, 16], "num_classes": 10, "width": 4})
    network = dcgan.Generator(**json.loads(arguments))
    metadata = {"model": "dcgan", "dataset": "mnist", "recipe": "mnist", "seed": "0", "step": "0"}
    save_weights(network, folder, metadata | {"arguments": arguments}, "generator")
    return folder


def test_last_picture_is_what_the_weights_draw(run_200: Path, tmp_path: Path) -> None:
    picture = tmp_path / "digits.png"
    done = generate(run_200, "--num", 10, "--out", picture)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{picture}\n", "")
    assert picture.read_bytes() == (run_200 / "img" / "fake_00000200.png").read_bytes()


def test_archive_and_folder_are_the_same_images(
    labelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, folder = tmp_path / "x.npz", tmp_path / "pngs"
    folder.mkdir()  # an empty one will do
    for num, out in ((70, archive), (300, folder)):
        done = generate(labelled, "--num", num, "--out", out, "--truncation", "0.8")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"{out}: {num} images, ")
        assert done.stdout.endswith(" images/s\n")
    files = sorted(folder.iterdir())
    assert len(files) == 300
    assert files[17].name == "000017_class7.png"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data = load_dataset(str(archive), str(tmp_path))
    assert data.labels is not None
    assert data.images.shape == (70, 1, 16, 16)
    assert data.labels.tolist() == [i % 10 for i in range(70)]
    singles = np.stack([np.asarray(Image.open(file)) for file in files])
    assert np.array_equal(singles[:70], data.images[:, 0])
    assert read_pngs(folder, 300, (1, 16, 16)).shape == (300, 1, 16, 16)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "pngs", "x.npz"]


def test_walk_of_one_class(labelled: Path, tmp_path: Path) -> None:
    done = generate(labelled, "--num", 5, "--digit", 3, "--walk", 2, "--out", tmp_path / "x.gif")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{tmp_path}/x.gif\n", "")
    with Image.open(tmp_path / "x.gif") as moving:
        assert (moving.n_frames, moving.size) == (48, (54, 36))  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--num", "0"], "--num 0: must be at least 1"),
        (["--num", "1.5"], "--num 1.5: must be a whole number"),
        (["--seed", "-1"], "--seed -1: must be from 0"),
        (["--truncation", "0"], "--truncation 0: must be a number above 0"),
        (["--truncation", "nan"], "--truncation nan: must be a number above 0"),
        (["--out", "x.gif", "--walk", "1"], "--walk 1: must be from 2 to 400"),
        (["--out", "x.gif", "--num", "401"], "--num 401: a moving picture takes at most 400"),
        (["--walk"], "--walk 4: is for a moving picture; name one with --out"),
        (["--out", "{tmp}/gone/x.png"], "--out {tmp}/gone/x.png: there is no folder {tmp}/gone; make it"),
        (["--out", "{tmp}/x.jpg"], "--out {tmp}/x.jpg: its end must say what to write: x.png, a grid; "),
        (["--out", "{tmp}/file/"], "--out {tmp}/file/: is a file; name a folder"),
        (["--out", "{tmp}"], "--out {tmp}: this folder is not empty; name another"),
        (["--bad"], "unrecognized arguments: --bad; see --help"),
        ([], "{tmp}: no generator there"),
    ],
)
def test_bad_input_is_one_line(args: list[str], words: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    done = generate(tmp_path, *(arg.replace("{tmp}", str(tmp_path)) for arg in args))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert done.stderr.startswith(f"error: {words.replace('{tmp}', str(tmp_path))}")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["mine"]
