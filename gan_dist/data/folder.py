"""A folder of pictures, whose first subfolders are classes."""

import hashlib
import os
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from gan_dist.data.pictures import Pictures, Source, formats, opened
from gan_dist.errors import UserError

SIZE = 32  # of images if none is asked for


def source(folder: Path) -> Source:
    """All pictures below `folder`: files by the endings that Pillow knows, in the order of their names.

    Links to files are followed, links to folders are not. What has a name with a dot in front is left out.
    Raises UserError.
    """
    files: list[str] = []
    others: set[str] = set()
    digest = hashlib.sha256()
    try:
        for name in _walk(folder):
            ending = os.path.splitext(name)[1].lower()
            if ending not in formats():
                others.add(ending or name)
            elif (state := _state(os.path.join(folder, name))) is not None:
                files.append(name)
                digest.update(f"{name}\0{state}\n".encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise UserError(f"--dataset {folder}: {error.filename} cannot be read ({error.strerror})") from None
    if not files:
        example = "such as .png or .jpg"
        raise UserError(
            f"--dataset {folder}: no pictures in this folder; name one with files that Pillow reads, {example}"
        )
    note = f"left out files that Pillow does not read ({', '.join(sorted(others)[:5])})" if others else ""
    return Source(f"folder {digest.hexdigest()}", partial(_find, folder, files, note))


def _walk(folder: Path) -> Iterator[str]:
    """Paths of all files, relative to `folder`."""

    def fail(error: OSError) -> None:
        raise error

    for place, folders, files in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        below = os.path.relpath(place, folder)
        for name in sorted(files):
            if not name.startswith("."):
                yield name if below == os.curdir else os.path.join(below, name)


def _state(file: str) -> str | None:
    """What tells that a file has changed; None for what is no file, such as a pipe, which nobody may wait for."""
    try:
        status = os.stat(file)
    except OSError as error:  # a link to nowhere: a damaged picture
        return str(error.errno)
    return f"{status.st_size} {status.st_mtime_ns}" if stat.S_ISREG(status.st_mode) else None


def _find(folder: Path, files: list[str], note: str) -> Pictures:
    def read(number: int) -> Image.Image:
        return opened(folder / files[number])

    tops = [os.path.dirname(name).partition(os.sep)[0] for name in files]  # "" for what lies in no subfolder
    names, labels = np.unique(tops, return_inverse=True)
    if "" in tops:
        return Pictures(len(files), read, files.__getitem__, SIZE, note=note)
    return Pictures(len(files), read, files.__getitem__, SIZE, labels.astype(np.int64), tuple(names.tolist()), note)
