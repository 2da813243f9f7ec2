"""Data sets that are no folder of pictures: arrays, tables, CIFAR-10, and the MNIST family at another size."""

import io
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from gan_dist.data.cifar10 import CLASSES, FOLDER
from gan_dist.data.dataset import load_dataset
from gan_dist.data.mnist import MissingError, load_images, load_labels
from gan_dist.errors import UserError
from tests.harness.pictures import noise, save

PIXELS = np.stack([noise(8, seed) for seed in range(5)])
NO_NETWORK = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/gan_dist/pictures"


def channels_last(images: np.ndarray) -> np.ndarray:
    return images.transpose(0, 2, 3, 1)


def test_grey_npy_is_mapped_as_it_is(tmp_path: Path, cache: Path) -> None:
    for name, pixels in (("three", PIXELS[..., 0]), ("four", PIXELS[..., :1])):
        np.save(tmp_path / f"{name}.npy", np.ascontiguousarray(pixels))
        data = load_dataset(str(tmp_path / f"{name}.npy"), "data")
        assert np.array_equal(data.images, PIXELS[:, None, :, :, 0])
        assert (data.name, data.labels, data.class_names) == (f"{name}.npy", None, ())
        assert f"{name}.npy" in Path("/proc/self/maps").read_text()
        assert not data.images.flags.writeable
    assert not cache.exists()


def test_npy_in_colours_or_of_another_size(tmp_path: Path) -> None:
    file = tmp_path / "mine.npy"
    np.save(file, PIXELS)
    data = load_dataset(str(file), "data")
    assert np.array_equal(channels_last(data.images), PIXELS)
    assert load_dataset(str(file), "data", channels=1).images.shape == (5, 1, 8, 8)
    np.save(file, PIXELS[:, 1:7, :, 0])
    assert load_dataset(str(file), "data", image_size=4).images.shape == (5, 1, 4, 4)
    with pytest.raises(UserError, match=rf"--dataset {file}: its images are 6x6; name an --image-size that is a mult"):
        load_dataset(str(file), "data")
    np.save(file, PIXELS[:, :6, :6, 0])
    with pytest.raises(UserError, match="its images are 6x6"):
        load_dataset(str(file), "data")
    assert np.array_equal(load_dataset(str(file), "data", image_size=12).images[0, 0], scaled(PIXELS[0, :6, :6, 0], 12))


def scaled(pixels: np.ndarray, size: int) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.LANCZOS))


def test_npz_with_labels(tmp_path: Path) -> None:
    file = tmp_path / "mine.npz"
    np.savez_compressed(file, images=PIXELS, labels=np.array([7, 3, 7, 9, 3]))
    for _ in range(2):
        data = load_dataset(str(file), "data")
        assert np.array_equal(channels_last(data.images), PIXELS)
        assert data.labels is not None
        assert data.labels.tolist() == [1, 0, 1, 2, 0]
        assert data.class_names == ("3", "7", "9")
    np.savez(file, images=PIXELS[..., 0])
    assert load_dataset(str(file), "data").labels is None


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.npy", PIXELS / 255, r"holds float64 \[5, 8, 8, 3\]; must hold uint8"),
        ("a.npy", PIXELS[0], "its images are 3x3"),
        ("a.npy", PIXELS.transpose(0, 3, 1, 2), r"holds uint8 \[5, 3, 8, 8\]"),
        ("a.npy", PIXELS[:0], r"holds uint8 \[0, 8, 8, 3\]"),
        ("a.npy", np.array([{"any": "object"}]), "cannot be read .*Python objects"),
        ("a.npy", b"", "cannot be read"),
        ("a.npy", b"PK\x03\x04", "cannot be read"),
        ("a.npz", b"anything", "cannot be read"),
        ("a.npz", {"pictures": PIXELS}, "it must hold `images`, and may hold `labels`"),
        (
            "a.npz",
            {"images": PIXELS, "labels": np.arange(4)},
            r"labels are int64 \[4\]; .* one for each of the 5 images",
        ),
        ("a.npz", {"images": PIXELS, "labels": np.arange(5.0)}, r"labels are float64 \[5\]"),
        ("a.npz", {"images": PIXELS, "labels": np.array([None] * 5)}, "allow_pickle=False"),
    ],
)
def test_arrays_that_are_no_images(name: str, content: Any, words: str, tmp_path: Path) -> None:
    file = tmp_path / name
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif isinstance(content, dict):
        np.savez(file, **content, allow_pickle=True)
    else:
        np.save(file, content)
    with pytest.raises(UserError, match=rf"--dataset {file}: .*({words})"):
        load_dataset(str(file), "data")


def test_mnist_of_another_size(tmp_path: Path) -> None:
    images, labels = (load_one("mnist-5k", str(tmp_path)) for load_one in (load_images, load_labels))
    data = load_dataset("mnist-5k", str(tmp_path))
    assert np.array_equal(data.images[:, 0], images)
    assert data.labels is not None
    assert np.array_equal(data.labels, labels)
    assert data.class_names == tuple("0123456789")
    data = load_dataset("mnist-5k", str(tmp_path), image_size=32, channels=3)
    assert data.images.shape == (5000, 3, 32, 32)
    assert np.array_equal(data.images[7], np.broadcast_to(scaled(images[7], 32), (3, 32, 32)))
    assert data.labels is not None
    assert np.array_equal(data.labels, labels)


def write_cifar(folder: Path) -> np.ndarray:
    """CIFAR-10's files with other pixels -> the first image [3, 32, 32] of each."""
    folder.mkdir(parents=True)
    firsts = []
    for number, name in enumerate([*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"]):
        records = np.random.default_rng(number).integers(0, 256, (10_000, 3073), dtype=np.uint8)
        records[:, 0] = (np.arange(10_000) + number) % 10
        records.tofile(folder / name)
        firsts.append(records[0, 1:].reshape(3, 32, 32))
    return np.stack(firsts)


@pytest.mark.slow
def test_cifar10(tmp_path: Path) -> None:
    firsts = write_cifar(tmp_path / FOLDER)
    train, test = (load_dataset("cifar10", str(tmp_path), split) for split in ("train", "test"))
    assert (train.images.shape, test.images.shape) == ((50_000, 3, 32, 32), (10_000, 3, 32, 32))
    assert np.array_equal(train.images[::10_000], firsts[:5])
    assert np.array_equal(test.images[0], firsts[5])
    assert train.labels is not None
    assert train.labels[::10_000].tolist() == [0, 1, 2, 3, 4]
    assert train.class_names == CLASSES
    (tmp_path / FOLDER / "data_batch_2.bin").write_bytes(bytes(10_000 * 3073))
    with pytest.raises(UserError, match="its classes are not those of CIFAR-10; delete it"):
        load_dataset("cifar10", str(tmp_path))
    (tmp_path / FOLDER / "data_batch_2.bin").write_bytes(b"short")
    with pytest.raises(UserError, match=r"data_batch_2.bin is damaged or .*: it has 5 bytes, not 30730000; delete it"):
        load_dataset("cifar10", str(tmp_path))


def test_cifar10_that_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in NO_NETWORK.items():
        monkeypatch.setenv(name, value)
    archive = tmp_path / "data" / "cifar-10-binary.tar.gz"
    with pytest.raises(
        MissingError, match=rf"--dataset cifar10: {archive} is not there and could not be downloaded; put"
    ):
        load_dataset("cifar10", str(tmp_path / "data"))
    assert not archive.parent.exists()
    archive.parent.mkdir()
    with tarfile.open(archive, "w:gz") as other:
        other.addfile(tarfile.TarInfo(f"{FOLDER}/test_batch.bin"), io.BytesIO(b""))
    with pytest.raises(
        UserError, match=rf"{archive} is damaged or .*: its MD5 is not c32a1d4ab5d03f1284b67883e8d87530"
    ):
        load_dataset("cifar10", str(tmp_path / "data"))
    assert [file.name for file in archive.parent.iterdir()] == [archive.name]


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def table(bare: bool = False, pixels: np.ndarray = PIXELS) -> pa.Table:
    """As `datasets` writes them."""
    content = [png(each) for each in pixels]
    labels = pa.array([2 * (number % 2) for number in range(len(pixels))], pa.int64())
    if bare:
        return pa.table({"img": content, "label": labels})
    names = {"info": {"features": {"label": {"names": ["cat", "ape", "dog"], "_type": "ClassLabel"}}}}
    images = [{"bytes": each, "path": None} for each in content]
    return pa.table({"image": images, "label": labels}).replace_schema_metadata({"huggingface": json.dumps(names)})


def save_to_disk(content: pa.Table, folder: Path) -> None:
    folder.mkdir(parents=True)
    for number in range(2):
        part = content.slice(3 * number, 3)
        file = folder / f"data-0000{number}-of-00002.arrow"
        with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, part.schema) as writer:
            writer.write_table(part)
    (folder / "state.json").write_text("{}")


@pytest.mark.parametrize("kind", ["file", "bare", "folder", "disk", "splits"])
def test_tables(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "mine"
    content = table(bare=kind == "bare")
    if kind in ("file", "bare"):
        path = tmp_path / "mine.parquet"
        pq.write_table(content, path, row_group_size=2)
    elif kind == "folder":
        (path / "data").mkdir(parents=True)
        pq.write_table(content.slice(0, 3), path / "data" / "train-00000-of-00002.parquet")
        pq.write_table(content.slice(3), path / "data" / "train-00001-of-00002.parquet")
        pq.write_table(content.slice(1, 1), path / "data" / "test-00000-of-00001.parquet")
    elif kind == "disk":
        save_to_disk(content, path)
    else:
        save_to_disk(content, path / "train")
        save_to_disk(content.slice(1, 1), path / "test")
        (path / "dataset_dict.json").write_text("{}")
    data = load_dataset(str(path), "data", image_size=8)
    assert np.array_equal(channels_last(data.images), PIXELS)
    assert data.labels is not None
    assert data.labels.tolist() == [0, 1, 0, 1, 0]
    assert data.class_names == (("0", "2") if kind == "bare" else ("cat", "dog"))
    if kind in ("folder", "splits"):
        assert np.array_equal(channels_last(load_dataset(str(path), "data", "test", image_size=8).images), PIXELS[1:2])
    else:
        with pytest.raises(MissingError, match="has no test images"):
            load_dataset(str(path), "data", "test")


def test_damaged_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mine.parquet"
    pq.write_table(pa.table({"image": [{"bytes": png(PIXELS[0]), "path": "a"}, {"bytes": None, "path": "b"}]}), file)
    with pytest.raises(UserError, match=r"1 of 2 pictures are damaged: row 1 \(is not in the table\); delete them, or"):
        load_dataset(str(file), "data")
    assert len(load_dataset(str(file), "data", skip_damaged=True).images) == 1
    pq.write_table(pa.table({"text": ["no pictures"]}), file)
    with pytest.raises(UserError, match="has no column of pictures"):
        load_dataset(str(file), "data")
    file.write_bytes(b"PAR1")
    with pytest.raises(UserError, match=rf"--dataset {file}: cannot be read \(.*\); name sound tables"):
        load_dataset(str(file), "data")
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # as where it is not installed
    with pytest.raises(UserError, match="needs pyarrow; pip install pyarrow"):
        load_dataset(str(file), "data")


def test_what_is_no_data_set(tmp_path: Path) -> None:
    save(noise(), tmp_path / "a.png")
    for name, words in (
        ("nothing", "neither a known data set nor a path; take mnist, "),
        ("a.png", "is a file of another kind; take mnist, "),
    ):
        with pytest.raises(UserError, match=f"--dataset {tmp_path / name}: {words}"):
            load_dataset(str(tmp_path / name), "data")
