"""Decides when checkpoints are written, writes them on a thread, deletes old ones."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gan_dist import atomic
from gan_dist.adversarial.finite import check_finite
from gan_dist.errors import reason
from gan_dist.storage import checkpoint
from gan_dist.storage.checkpoint import Tensors
from gan_dist.storage.checkpoints import newest_first

logger = logging.getLogger(__name__)


class Saver:
    """Writes checkpoints on a thread of the main process while training goes on.

    Training waits only for the copy to the host. A save that fails is reported and tried again when the next is
    due; `failure` says why the last one failed, or is None. folder: of this job's checkpoints, step_N; it must be there
    when the first is written. every, minutes: steps and minutes between two saves, whichever is sooner; keep: how many
    stay.
    """

    def __init__(self, folder: Path | str, every: int = 1000, minutes: float = 10.0, keep: int = 3) -> None:
        self.folder, self.every, self.minutes, self.keep = Path(folder), every, minutes, keep
        self.failure: str | None = None
        self.last_step = -1  # of the last save that was begun
        self._last_good: Path | None = None
        self._last_time = time.monotonic()
        self._thread: threading.Thread | None = None

    def is_due(self, step: int) -> bool:
        """Whether the steps or the minutes since the last save say so."""
        minutes = (time.monotonic() - self._last_time) / 60
        return step % self.every == 0 or minutes >= self.minutes

    def save(self, tensors: Tensors, state: Mapping[str, Any], before: Callable[[], object] = lambda: None) -> None:
        """Copy `tensors` to the host and write them as `state["step"]`; `before` runs first, on the thread.

        state: what json can hold. Raises nothing; what goes wrong is logged, and in `failure` after `wait`.
        """
        if self._thread and self._thread.is_alive():
            logger.info("waiting for the last checkpoint to be written")
        self.wait()
        self.last_step, self._last_time = state["step"], time.monotonic()
        try:
            copies = {
                name: {key: tensor.detach().to("cpu", copy=True).contiguous() for key, tensor in group.items()}
                for name, group in tensors.items()
            }
        except Exception as error:  # out of memory, say
            self._fail(state["step"], error)
            return
        self._thread = threading.Thread(target=self._write, args=(copies, state, before))
        self._thread.start()

    def wait(self) -> None:
        """Wait until nothing is being written."""
        if self._thread:
            self._thread.join()

    def _write(self, tensors: Tensors, state: Mapping[str, Any], before: Callable[[], object]) -> None:
        target = self._target(state["step"])
        try:
            check_finite(state["step"], tensors)
            before()
            checkpoint.write(target, tensors, state)
            self.failure, self._last_good = None, target
            with contextlib.suppress(OSError):  # what cannot be removed now is tried again the next time
                for old in newest_first(self.folder)[self.keep :]:
                    atomic.remove_folder(old)
        except Exception as error:  # whatever it is: a thread that dies of it would die without a word
            self._fail(state["step"], error)

    def _fail(self, step: int, error: Exception) -> None:
        self.failure = reason(error)
        last = self._last_good or next(iter(newest_first(self.folder)), "none")
        name = self._target(step).name
        logger.warning("%s was not saved (%s); last good checkpoint: %s", name, self.failure, last)

    def _target(self, step: int) -> Path:
        return self.folder / f"step_{step:08d}"
