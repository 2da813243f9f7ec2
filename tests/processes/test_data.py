"""Data: verified before use; damaged, swapped and missing files are told, never trained on."""

import gzip
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from gan_dist.data.idx import write_first_possible
from gan_dist.data.mnist import load_images, load_labels
from gan_dist.errors import UserError
from tests.conftest import DATA_DIR, ROOT, train_alone

IMAGES = "train-images-idx3-ubyte"
NO_NETWORK = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}


@pytest.fixture
def images(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> np.ndarray:
    """Real MNIST, with caches and downloads out of the way."""
    try:
        images = load_images("mnist", str(DATA_DIR))
    except UserError:
        pytest.skip("MNIST cannot be had on this machine")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name, value in NO_NETWORK.items():
        monkeypatch.setenv(name, value)
    return images


def idx(images: np.ndarray, magic: int = 0x803) -> bytes:
    return np.array([magic, *images.shape], dtype=">u4").tobytes() + images.tobytes()


def place(folder: Path, content: bytes, name: str = IMAGES, data_set: str = "MNIST") -> Path:
    file = folder / data_set / "raw" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def test_images_are_mnist(images: np.ndarray) -> None:
    assert images.shape == (60_000, 28, 28)
    assert abs(images.mean() - 33.3184) < 1e-4  # the figure that everyone normalises with: 0.1307 * 255
    with pytest.raises(ValueError, match="read-only"):
        images[0, 0, 0] = 1


@pytest.mark.parametrize(
    ("dataset", "split", "counts"),
    [
        ("mnist", "train", [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]),
        ("mnist", "test", [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]),
        ("mnist-5k", "train", [500] * 10),
        ("mnist-5k", "test", [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]),  # MNIST's
    ],
)
def test_labels_belong_to_the_images(dataset: str, split: str, counts: list[int]) -> None:
    try:
        images, labels = (load(dataset, str(DATA_DIR), split) for load in (load_images, load_labels))
    except UserError:
        pytest.skip("MNIST cannot be had on this machine")
    assert np.bincount(labels).tolist() == counts  # as published
    zeros, ones = (images[labels == digit].mean(axis=0) for digit in (0, 1))
    assert zeros[14, 14] < 30 < 200 < ones[14, 14]  # a hole or a stroke in the middle


def test_missing_test_file_is_named(images: np.ndarray, tmp_path: Path) -> None:
    place(tmp_path, idx(images))
    for dataset in ("mnist", "mnist-5k"):
        for load, name in ((load_images, "t10k-images-idx3-ubyte.gz"), (load_labels, "t10k-labels-idx1-ubyte.gz")):
            file = tmp_path / "MNIST/raw" / name
            with pytest.raises(UserError, match=rf"{file} is not there .*; put the file there [^,]*--data-dir\)$"):
                load(dataset, str(tmp_path), "test")
    assert [file.name for file in (tmp_path / "MNIST/raw").iterdir()] == [IMAGES]


def test_damaged_labels_are_named(images: np.ndarray, tmp_path: Path) -> None:
    file = place(tmp_path, idx(np.zeros(10_000, np.uint8), 0x801), "t10k-labels-idx1-ubyte")
    with pytest.raises(UserError, match=f"{file} is damaged.*SHA-256"):
        load_labels("mnist", str(tmp_path), "test")


def test_processes_share_one_mapping(images: np.ndarray) -> None:
    maps = Path("/proc/self/maps").read_text()
    line = next(line for line in maps.splitlines() if line.endswith(IMAGES))
    assert "r--s" in line  # shared: no copy of its own


@pytest.mark.parametrize("packed", [False, True])
def test_packed_or_not(images: np.ndarray, packed: bool, tmp_path: Path) -> None:
    content = idx(images)
    place(tmp_path, gzip.compress(content, 1) if packed else content, IMAGES + ".gz" * packed)
    assert np.array_equal(load_images("mnist", str(tmp_path)), images)
    assert (tmp_path / "MNIST/raw" / IMAGES).exists()  # unpacked once


def test_read_only_folder_is_left_alone(images: np.ndarray, tmp_path: Path) -> None:
    folder = place(tmp_path, gzip.compress(idx(images), 1), IMAGES + ".gz").parent
    folder.chmod(0o555)
    for _ in range(2):  # the second time from the cache
        assert np.array_equal(load_images("mnist", str(tmp_path)), images)
    assert [file.name for file in folder.iterdir()] == [IMAGES + ".gz"]
    cached = tmp_path / "cache/gan_dist/MNIST" / IMAGES
    cached.write_bytes(b"damaged")
    assert np.array_equal(load_images("mnist", str(tmp_path)), images)  # made anew


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda images: b"", "header"),
        (lambda images: idx(images)[:1_000_000], "1000000 bytes, not 47040016"),
        (lambda images: idx(images) + b"\0", "47040017 bytes"),
        (lambda images: idx(images[:10_000]), r"10000, 28, 28\), not"),  # the test set's file
        (lambda images: idx(images, magic=0x801), "header"),  # labels
        (lambda images: idx(images[::-1]), "SHA-256"),  # another set of that shape
    ],
)
def test_damaged_file_is_named(images: np.ndarray, damage: object, expected: str, tmp_path: Path) -> None:
    assert callable(damage)
    content = damage(images)
    file = place(tmp_path, content)
    with pytest.raises(UserError, match=f"{file} is damaged.*{expected}.*delete it"):
        load_images("mnist", str(tmp_path))
    assert file.read_bytes() == content
    file.unlink()
    packed = place(tmp_path, gzip.compress(content, 1), IMAGES + ".gz")
    with pytest.raises(UserError, match=f"{packed} is damaged.*{expected}.*delete it"):
        load_images("mnist", str(tmp_path))


@pytest.mark.parametrize("content", [b"", b"not gzip", gzip.compress(os.urandom(10_000))[:5000]])
def test_damaged_gz_is_named(images: np.ndarray, content: bytes, tmp_path: Path) -> None:
    file = place(tmp_path, content, IMAGES + ".gz")
    with pytest.raises(UserError, match=f"{file} (cannot be unpacked|is damaged).*delete it"):
        load_images("mnist", str(tmp_path))


def test_digits_are_not_taken_for_fashion(images: np.ndarray, tmp_path: Path) -> None:
    file = place(tmp_path, gzip.compress(idx(images), 1), IMAGES + ".gz", "FashionMNIST")
    with pytest.raises(UserError, match=f"{file} is damaged or another data set"):
        load_images("fashion-mnist", str(tmp_path))


def test_mnist_5k_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    images = load_images("mnist-5k", str(tmp_path))
    assert images.shape == (5000, 28, 28)
    assert abs(images.mean() - 33.3184) < 1  # a fair sample of MNIST
    shutil.rmtree(tmp_path / "MNIST-5k")
    assert np.array_equal(load_images("mnist-5k", str(tmp_path)), images)


def test_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    """Two containers may share a folder and the number of a process, as these threads do."""
    content, file = np.zeros(1 << 22, np.uint8), tmp_path / "images"
    with ThreadPoolExecutor(4) as pool:
        sizes = list(pool.map(lambda _: write_first_possible([file, file], content).stat().st_size, range(100)))
    assert set(sizes) == {content.nbytes}
    assert list(tmp_path.iterdir()) == [file]


def test_missing_data_is_one_line_with_both_remedies(tmp_path: Path) -> None:
    args = ["--data-dir", tmp_path / "data", "--run-dir", tmp_path / "run", "--dataset", "kmnist"]
    done = train_alone(*args, **NO_NETWORK)
    assert done.returncode == 2
    line = done.stderr.splitlines()[-1]
    assert line.startswith("error: --dataset kmnist: ")
    assert "--data-dir" in line
    assert "--dataset mnist-5k" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user takes root")
@pytest.mark.slow
def test_user_without_a_home(tmp_path: Path) -> None:
    """A container that is started with a number for a user."""
    setpriv = ["setpriv", "--reuid=54321", sys.executable, "-m"]
    if subprocess.run([*setpriv, "gan_dist.errors"], cwd=ROOT, capture_output=True).returncode:
        pytest.skip("another user cannot run this Python, or read this folder")
    command = [*setpriv, "gan_dist.download", "--dataset", "mnist-5k", "--data-dir"]
    environment = {name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_CACHE_HOME")}
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are for nobody else
        os.chmod(folder, 0o777)
        for data_dir, code, words in ((f"{folder}/data", 0, "5,000 images"), ("/proc/data", 2, "error: --data-dir: ")):
            done = subprocess.run([*command, data_dir], cwd=ROOT, env=environment, capture_output=True, text=True)
            assert (done.returncode, (done.stdout + done.stderr).count("\n")) == (code, 1), done.stderr
            assert words in done.stdout + done.stderr


def test_damaged_data_is_never_trained_on(images: np.ndarray, tmp_path: Path) -> None:
    file = place(tmp_path, idx(images)[:-1])
    done = train_alone("--data-dir", tmp_path, "--run-dir", tmp_path / "run")
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {file} is damaged")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()
