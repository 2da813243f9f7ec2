"""The checkpoints of one run: finding the newest, and setting later ones aside when a run goes back."""

import contextlib
import itertools
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from gan_dist.storage import checkpoint
from gan_dist.storage.checkpoint import CheckpointError

T = TypeVar("T")
logger = logging.getLogger(__name__)


def newest_first(folder: Path) -> list[Path]:
    """The checkpoints in a folder, whether they are sound or not."""
    return sorted(folder.glob("step_" + "[0-9]" * 8), reverse=True)


def newest_sound(folder: Path, check: Callable[[Path], T]) -> tuple[Path, T] | None:
    """The newest checkpoint in a folder that passes `check`, and what that returned; None if there is none at all.

    Logs which are skipped. Raises CheckpointError if none passes.
    """
    candidates = newest_first(folder)
    for candidate in candidates:
        try:
            return candidate, check(candidate)
        except CheckpointError as error:
            logger.warning("%s is skipped: %s", candidate, error)
    if candidates:
        raise CheckpointError(f"no checkpoint in {folder} is sound")
    return None


def later_than(folder: Path, step: int) -> list[Path]:
    """The checkpoints in a folder after `step`, the oldest first."""
    return [each for each in reversed(newest_first(folder)) if int(each.name.removeprefix("step_")) > step]


def make_newest(folder: Path, path: Path, step: int) -> None:
    """Make the checkpoint at `path`, of `step`, the newest in `folder`; after a kill the old newest may still be it.

    One from elsewhere is copied; later ones are set aside, the oldest first. Raises OSError.
    """
    own = folder / f"step_{step:08d}"
    in_the_way = later_than(folder, step)
    if not (own.exists() and own.samefile(path)):
        folder.mkdir(exist_ok=True)
        checkpoint.copy(path, own)
    if in_the_way:
        aside = make_new(folder / time.strftime("set_aside_%Y%m%d-%H%M%S"))
        for later in in_the_way:
            os.replace(later, aside / later.name)
        names = ", ".join(later.name for later in in_the_way)
        logger.info("later than %s and set aside in %s: %s", own.name, aside, names)


def make_new(folder: Path) -> Path:
    """Make a folder, with -2, -3, ... after its name if there is one already. Raises OSError."""
    for number in itertools.count(2):
        with contextlib.suppress(FileExistsError):
            folder.mkdir(parents=True)
            break
        folder = folder.with_name(f"{folder.name.removesuffix(f'-{number - 1}')}-{number}")
    return folder
