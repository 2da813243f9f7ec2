"""CIFAR-10 in its binary version, which holds no pickle: downloaded once, in torchvision's folder."""

import hashlib
import io
import tarfile
import zlib
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gan_dist.data import idx
from gan_dist.data.arrays import pictures_of
from gan_dist.data.mnist import cache_folders, fetch
from gan_dist.data.pictures import Pictures, Source
from gan_dist.errors import UserError

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
MD5 = "c32a1d4ab5d03f1284b67883e8d87530"  # as the data set's page says
FOLDER = "cifar-10-batches-bin"
FILES = {"train": [f"data_batch_{number}.bin" for number in range(1, 6)], "test": ["test_batch.bin"]}
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
IMAGES = 10_000  # of a file
RECORD = 1 + 3 * 32 * 32  # bytes: a label, then red, green and blue


def source(data_dir: str, split: str) -> Source:
    """The images of a split. Raises UserError for a damaged file, MissingError for one that cannot be had."""
    files = _unpacked(data_dir, split) or _unpack(data_dir, split)
    states = [f"{file.stat().st_size} {file.stat().st_mtime_ns}" for file in files]
    return Source(f"cifar10 {split} {states}", partial(_find, files))


def _unpacked(data_dir: str, split: str) -> list[Path] | None:
    for folder in [Path(data_dir), *cache_folders()]:
        files = [folder / FOLDER / name for name in FILES[split]]
        if all(file.is_file() for file in files):
            return files
    return None


def _unpack(data_dir: str, split: str) -> list[Path]:
    archive = Path(data_dir, URL.rpartition("/")[2])
    if not archive.exists():
        fetch("cifar10", archive, [URL], MD5)
    try:
        content = archive.read_bytes()
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != MD5:
            idx.refuse_if(f"its MD5 is not {MD5}", archive)
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as members:
            return [_write(members, name, data_dir) for name in FILES[split]]
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise UserError(f"{archive} cannot be unpacked ({error}); delete it to have it made anew") from None


def _write(members: tarfile.TarFile, name: str, data_dir: str) -> Path:
    member = members.extractfile(f"{FOLDER}/{name}")
    assert member is not None  # the archive is the known one
    places = [folder / FOLDER / name for folder in (Path(data_dir), *cache_folders())]
    return idx.write_first_possible(places, np.frombuffer(member.read(), np.uint8))


def _find(files: list[Path]) -> Pictures:
    records = np.concatenate([_records(file) for file in files])
    labels, pixels = records[:, 0], records[:, 1:].reshape(-1, 3, 32, 32)
    if np.any(np.bincount(labels, minlength=len(CLASSES)) != len(records) // len(CLASSES)):
        idx.refuse_if("its classes are not those of CIFAR-10", files[0].parent)
    return pictures_of(pixels.transpose(0, 2, 3, 1), labels, CLASSES)


def _records(file: Path) -> NDArray[np.uint8]:
    content = idx.read(file)
    if content.size != IMAGES * RECORD:
        idx.refuse_if(f"it has {content.size} bytes, not {IMAGES * RECORD}", file)
    return content.reshape(IMAGES, RECORD)
