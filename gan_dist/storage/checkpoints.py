"""The checkpoints of one run: going on from the newest, and setting later ones aside when a run goes back."""

import contextlib
import itertools
import json
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from accelerate import Accelerator

from gan_dist import atomic
from gan_dist.distributed.processes import run_first, share, share_text
from gan_dist.errors import UserError
from gan_dist.storage import checkpoint
from gan_dist.storage.checkpoint import CheckpointError, Tensors

T = TypeVar("T")
logger = logging.getLogger(__name__)


def resume(accelerator: Accelerator, folder: Path | str, tensors: Tensors) -> dict[str, Any]:
    """Copy the newest sound checkpoint in a folder into `tensors`, in place -> its state; {"step": 0} without one.

    All processes call it at once, and get the same. The main process alone reads, makes the folder if there is none,
    and logs which checkpoints are skipped. tensors: {part: {name: tensor}} with names, types and shapes as they were
    saved. Raises UserError on all processes if there are checkpoints and none is sound.
    """

    def read() -> dict[str, Any]:
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            atomic.clean(Path(folder))
            found = newest_sound(Path(folder), lambda path: _verified(path, tensors))
        except (CheckpointError, OSError) as error:
            raise UserError(f"{folder}: cannot be resumed from ({error}); name another folder") from None
        if found is None:
            return {"step": 0}
        checkpoint.load_into(found[0], tensors)
        return found[1]

    is_main = accelerator.is_main_process
    state = run_first(accelerator, is_main, lambda: read() if is_main else {})
    state = json.loads(share_text(json.dumps(state), accelerator.device))
    if state["step"]:
        share(tensors)
    return state


def _verified(path: Path, tensors: Tensors) -> dict[str, Any]:
    state = checkpoint.read_state(path)
    checkpoint.verify(path, state, tensors)
    return state


def newest_first(folder: Path) -> list[Path]:
    """The checkpoints in a folder, whether they are sound or not."""
    return sorted(folder.glob("step_" + "[0-9]" * 8), reverse=True)


def newest_sound(folder: Path, check: Callable[[Path], T], before: int | None = None) -> tuple[Path, T] | None:
    """The newest checkpoint in a folder that passes `check`, and what that returned; None if there is none at all.

    before: of those before this step. Logs which are skipped. Raises CheckpointError if none passes.
    """
    candidates = [each for each in newest_first(folder) if before is None or step_of(each) < before]
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
    return [each for each in reversed(newest_first(folder)) if step_of(each) > step]


def step_of(checkpoint: Path) -> int:
    """The step in its name."""
    return int(checkpoint.name.removeprefix("step_"))


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
