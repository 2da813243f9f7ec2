"""Pictures as one memory-mapped array: made once, in the user's cache folder, and made anew if they have changed."""

import contextlib
import fcntl
import hashlib
import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gan_dist import atomic
from gan_dist.data.decode import Decoded, Look, Progress, decode
from gan_dist.data.mnist import cache_folders
from gan_dist.data.pictures import Pictures, Source
from gan_dist.errors import UserError

logger = logging.getLogger(__name__)

FORMAT = 1
MOST_NAMED = 3  # damaged pictures
IMAGES, LABELS, RECORD = "images", "labels.npy", "pack.json"


class Packed(NamedTuple):
    """images: uint8 [N, C, H, W], memory-mapped and read-only; labels: places in class_names, int64 [N]."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64] | None
    class_names: tuple[str, ...]


def packed(source: Source, look: Look, name: str, skip_damaged: bool, progress: Progress | None) -> Packed:
    """The images of a source. name: what messages call it.

    One process at a time packs, the others wait for it. Raises UserError for damaged pictures, unless they are to be
    skipped, and if the cache folder cannot be written.
    """
    key = hashlib.sha256(json.dumps([FORMAT, source.made_from, look]).encode()).hexdigest()[:32]
    if not (folders := cache_folders()):
        raise UserError(f"--dataset {name}: there is no home for packed pictures; name a folder with XDG_CACHE_HOME")
    cache = folders[0] / "pictures"
    try:
        if (found := _read(cache / key, skip_damaged)) is None:
            with _locked(cache):
                if (found := _read(cache / key, skip_damaged)) is None:  # another process may have packed them
                    atomic.clean(cache)
                    with atomic.new_folder(cache / key) as new:
                        _pack(new, source.find(), look, name, skip_damaged, progress or (lambda done, total: None))
                    found = _read(cache / key, skip_damaged)
    except OSError as error:
        words = f"cannot write to {cache} ({error.strerror})"
        raise UserError(f"--dataset {name}: {words}; name another folder with XDG_CACHE_HOME") from None
    assert found is not None
    return found


@contextlib.contextmanager
def _locked(cache: Path) -> Iterator[None]:
    """For one process at a time; the system drops a lock of this kind when its process ends, even if killed."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.info("waiting for another process, which packs pictures")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _read(folder: Path, skip_damaged: bool) -> Packed | None:
    """None if it is not there, or of no use here."""
    try:
        record = json.loads((folder / RECORD).read_text())
        images = np.memmap(folder / IMAGES, np.uint8, "r", shape=tuple(record["shape"]))
        labels = np.load(folder / LABELS, allow_pickle=False) if record["labelled"] else None
    except (OSError, ValueError):
        return None
    if record["skipped"] and not skip_damaged:
        return None  # they may be sound by now
    return Packed(np.asarray(images), labels, tuple(record["class_names"]))


def _pack(new: Path, pictures: Pictures, look: Look, name: str, skip_damaged: bool, progress: Progress) -> None:
    """Fill an empty folder. Raises UserError and OSError."""
    size = look.size or pictures.size
    check_size(size, name)
    if pictures.note:
        logger.info("--dataset %s: %s", name, pictures.note)
    start = time.monotonic()
    done = decode(pictures, look, size, new / IMAGES, progress)
    if done.damaged:
        words = f"--dataset {name}: {_told(done, pictures)}"
        if not (skip_damaged and done.kept):
            raise UserError(f"{words}; delete them" + (", or take --skip-damaged" if done.kept else ""))
        logger.warning("%s; skipped", words)
    labels, class_names = None, pictures.class_names
    if pictures.labels is not None:
        classes, labels = np.unique(pictures.labels[done.kept], return_inverse=True)
        class_names = tuple(class_names[number] for number in classes)  # those that have a picture left
        np.save(new / LABELS, labels.astype(np.int64), allow_pickle=False)
    record = {"shape": done.shape, "labelled": labels is not None, "class_names": class_names}
    record["skipped"] = len(done.damaged)
    (new / RECORD).write_text(json.dumps(record))
    seconds = time.monotonic() - start
    logger.info("--dataset %s: packed %s pictures in %.1f s", name, f"{len(done.kept):,}", seconds)


def _told(done: Decoded, pictures: Pictures) -> str:
    """How many pictures are damaged, and the first of them."""
    first = [f"{pictures.name(number)} ({words})" for number, words in list(done.damaged.items())[:MOST_NAMED]]
    more = ", ..." if len(done.damaged) > len(first) else ""
    return f"{len(done.damaged):,} of {pictures.num:,} pictures are damaged: {', '.join(first)}{more}"


def check_size(size: int, dataset: str) -> None:
    """Raise UserError for images that networks cannot halve twice, and whose size nobody has asked for."""
    if size % 4:
        raise UserError(
            f"--dataset {dataset}: its images are {size}x{size}; name an --image-size that is a multiple of 4"
        )
