"""The folder of one run: its lock, its record of options, and what a resumed run keeps of it."""

import contextlib
import json
import os
import re
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

from gan_dist import atomic
from gan_dist.distributed.processes import start_time
from gan_dist.errors import UserError
from gan_dist.storage.checkpoints import make_new
from gan_dist.storage.lock import LOCK, owner, take
from gan_dist.storage.metrics_file import read_rows

OPTIONS = "config.yaml"
CODE = "model.py"
PATIENCE_SECONDS = 60


class RunFolder:
    """Made or entered by the main process, and locked until it ends, however it ends."""

    def __init__(self, path: Path) -> None:
        self.path, self.checkpoints = path, path / "checkpoints"
        self._lock: TextIO | None = None
        self._owner = ""

    def enter(self, check: Callable[[Path], None], must_be_new: bool = False) -> None:
        """Make the folder, or enter one that holds a run whose recorded options pass `check`. Raises UserError."""
        with writing(self.path):
            if (self.path / OPTIONS).is_file():
                if must_be_new and not began_here(self.path):
                    raise UserError(f"--resume never: {self.path} holds a run; name another folder with --run-dir")
                check(self.path / OPTIONS)
                self._take_lock()
                atomic.clean(self.path)
                atomic.clean(self.checkpoints)
                return
            # A run that was killed while it began may have left a checkpoint to begin from.
            if self.path.exists() and {file.name for file in self.path.glob("[!.]*")} - {"checkpoints"}:
                raise UserError(f"run folder {self.path}: is not empty and holds no run; name another with --run-dir")
            self.path.mkdir(parents=True, exist_ok=True)
            self._take_lock()

    def begin(self, options: str, code: bytes | None = None) -> None:
        """Record the options, the code of networks of one's own and the job; make room for pictures and checkpoints.

        Raises UserError.
        """
        with writing(self.path):
            self._replace(OPTIONS, options)
            if code is not None:
                self._replace(CODE, code)
            (self.path / "img").mkdir(exist_ok=True)
            self.checkpoints.mkdir(exist_ok=True)
            self._replace(".job", _job())

    def take_id(self, recorded: object, anew: bool = False) -> str:
        """The id of this run in dashboards: the folder's own, or that of a checkpoint in it, or a new one."""
        file = self.path / ".id"
        with writing(self.path):
            known = None if anew else file.read_text() if file.exists() else recorded
            run_id = known if isinstance(known, str) and re.fullmatch("[0-9a-f]{8}", known) else secrets.token_hex(4)
            self._replace(".id", run_id)
        return run_id

    def cut_metrics(self, step: int) -> None:
        """Drop the rows of metrics.jsonl after `step`, and one that a kill cut short. Raises UserError."""
        with writing(self.path):
            try:
                rows = [row for row in read_rows(self.path / "metrics.jsonl") if row["step"] <= step]
            except (ValueError, KeyError, TypeError):
                raise UserError(f"run folder {self.path}: its metrics.jsonl is damaged; delete that file") from None
            self._replace("metrics.jsonl", "".join(json.dumps(row) + "\n" for row in rows))

    def check_ours(self) -> None:
        """Raise UserError if another process trains in the folder now: it was made where locks do not reach, or after
        this machine was taken for dead.
        """
        with contextlib.suppress(OSError):
            if (other := (self.path / LOCK).read_text()) != self._owner:
                raise UserError(f"run folder {self.path}: {other.strip()} trains in it now; this process ends")

    def leave(self) -> None:
        """Let another run enter, of this process as well."""
        if self._lock:
            self._lock.close()

    def _take_lock(self) -> None:
        lock = (self.path / LOCK).open("a+")
        # Where processes are restarted, one of the last try may still be saving, on another machine.
        restarts = os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0") != "0"
        deadline = time.monotonic() + (PATIENCE_SECONDS if restarts else 0)
        while not take(lock):
            if time.monotonic() > deadline:
                lock.seek(0)
                raise UserError(
                    f"run folder {self.path}: {lock.read().strip()} trains in it; name another with --run-dir"
                )
            time.sleep(0.1)
        self._owner = owner()
        lock.truncate(0)
        lock.write(self._owner)
        lock.flush()
        self._lock = lock

    def _replace(self, name: str, content: str | bytes) -> None:
        atomic.write_file(self.path / name, content.encode() if isinstance(content, str) else content)


def new_folder(name: str) -> Path:
    """A folder of its own in runs/ for a job; after a restart by its launcher the same again. Raises UserError."""
    for folder in Path("runs").glob("*"):
        if folder.name.startswith(name) and began_here(folder):
            return folder
    with writing(Path("runs")):
        return make_new(Path("runs", name))


def began_here(folder: Path) -> bool:
    """Whether this job has begun in a run folder, before its launcher restarted its processes."""
    file = folder / ".job"
    return os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0" and file.is_file() and file.read_text() == _job()


def _job() -> str:
    """An id of the launcher's job: the same for all its processes, and after it restarts them."""
    return f"started at {start_time()} by process {os.getppid()} on {socket.gethostname()}"


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn an OSError inside into a UserError about the run folder."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"run folder {folder}: cannot be written ({error.strerror}); name another with --run-dir"
        ) from None
