"""Files and folders that are there as a whole or not at all, whenever the process, the machine or the disk gives up."""

import contextlib
import errno
import os
import secrets
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

MANY = 100  # files: a disk syncs all that is new in the time that it takes for a few single ones


def write_file(file: Path, content: bytes | memoryview) -> None:
    """Write a file in place of an old one, if there is one. Raises OSError.

    Processes on several machines may write the same file at once: the last one wins.
    """
    with new_file(file) as new:
        new.write_bytes(content)


@contextlib.contextmanager
def new_file(file: Path) -> Iterator[Path]:
    """The name of a file to write, which takes the place of `file` at the end, unless there is an exception.

    Raises OSError.
    """
    # Two containers may share the folder and the number of a process.
    new = file.with_name(f".new_{file.name}.{socket.gethostname()}.{secrets.token_hex(4)}")
    try:
        yield new
        move(new, file)
    finally:
        with contextlib.suppress(OSError):
            new.unlink(missing_ok=True)


@contextlib.contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """An empty folder to fill, which takes the place of `folder` at the end, unless there is an exception.

    For one writer at a time. Raises OSError.
    """
    new, old = (folder.with_name(f".{word}_{folder.name}") for word in ("new", "old"))
    _delete(new, old)
    try:
        new.mkdir()  # not its parents: where a disk has vanished, nothing may be written in its place
        yield new
        paths = list(new.rglob("*"))
        if len(paths) > MANY:
            os.sync()
        else:
            for path in paths:
                _sync(path)
        _sync(new)
        if folder.exists():
            os.replace(folder, old)
        move(new, folder)
    finally:
        if old.exists() and not folder.exists():
            os.replace(old, folder)
        _delete(new, old)


def move(new: Path, place: Path) -> None:
    """Rename a file, or a folder whose files are synced, so that it is in its place even after a power cut.

    Raises OSError.
    """
    _sync(new)  # a rename must not reach the disk before the content
    os.replace(new, place)
    _sync(place.parent)


def remove_folder(folder: Path) -> None:
    """Delete a folder, so that no half of it is ever seen under its name. Raises OSError."""
    if folder.exists():
        old = folder.with_name(f".old_{folder.name}")
        _delete(old)
        os.replace(folder, old)
        _delete(old)


def clean(folder: Path) -> None:
    """Finish or delete what a killed writer left in a folder that nobody else writes to now. Raises OSError."""
    for old in folder.glob(".old_*"):
        name = old.name.removeprefix(".old_")
        new, place = folder / f".new_{name}", folder / name
        if new.exists() and not place.exists():  # killed between the two renames of `new_folder`: `new` is whole
            move(new, place)
    _delete(*folder.glob(".new_*"), *folder.glob(".old_*"))


def _delete(*paths: Path) -> None:
    """Delete files and folders as far as possible."""
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                path.unlink()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some file systems cannot sync a folder (network shares, FUSE).
        if not (path.is_dir() and error.errno in (errno.EINVAL, errno.EBADF)):
            raise
    finally:
        os.close(descriptor)
