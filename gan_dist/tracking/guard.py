"""Protects training from dashboards: errors and hangs of theirs change neither its speed nor its result."""

import logging
import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from accelerate.tracking import GeneralTracker

from gan_dist.errors import reason
from gan_dist.tracking.dashboards import Dashboard, Value

logger = logging.getLogger(__name__)

MAX_WAITING = 10_000  # calls; more are dropped, so that a dashboard that hangs costs no memory
MAX_ERRORS = 10  # in a row; then the dashboard is left alone


class Guard(GeneralTracker):
    """A dashboard behind Accelerate's tracking interface, on a thread of its own.

    No method waits for the dashboard but `finish`, which does so for a bounded time, and none raises. Each kind of
    problem is reported once.
    """

    requires_logging_directory = False
    main_process_only = True

    def __init__(self, dashboard: Dashboard) -> None:
        self.name = dashboard.name
        self.dashboard = dashboard
        super().__init__()
        self.is_broken = False  # after `finish`: what it started may hold up the exit of the process
        self._calls: queue.Queue[tuple[Callable[..., None], tuple[Any, ...]] | None] = queue.Queue(MAX_WAITING)
        self._errors = 0
        self._told: set[str] = set()
        self._thread: threading.Thread | None = None

    @property
    def tracker(self) -> Dashboard:
        return self.dashboard

    def begin(self, last_step: int, history: list[tuple[int, dict[str, Value]]]) -> None:
        """Start the run, or go on with it after `last_step`; rows of `history` that it lacks are sent first."""
        self._thread = threading.Thread(target=self._work, args=(last_step, history), daemon=True)
        self._thread.start()

    def log(self, values: dict[str, Value], step: int | None = None, **kwargs: Any) -> None:
        """Show values of a step."""
        self._put(self.dashboard.log, step, values)

    def alert(self, title: str, text: str) -> None:
        """Send an alert through the dashboard."""
        self._put(self.dashboard.alert, title, text)

    def save_weights(self, folder: Path, metadata: dict[str, str]) -> None:
        """Keep a folder of weights with the run."""
        self._put(self.dashboard.save_weights, folder, metadata)

    def finish(self, exit_code: int = 0, seconds: float = 30) -> None:
        """Send what is waiting and close the run, in `seconds` at most."""
        if self._thread is None:
            return
        deadline = time.monotonic() + seconds
        try:
            self._calls.put((self.dashboard.finish, (exit_code,)), timeout=seconds)
            self._calls.put(None, timeout=max(0.0, deadline - time.monotonic()))
        except queue.Full:
            pass
        self._thread.join(max(0.0, deadline - time.monotonic()))
        self.is_broken = self._thread.is_alive() or "error" in self._told
        if self._thread.is_alive():
            self._tell("closing", f"did not close in {seconds:.0f} s; {self.dashboard.remedy()}")
        self._thread = None

    def _put(self, call: Callable[..., None], *args: Any) -> None:
        try:
            self._calls.put_nowait((call, args))
        except queue.Full:
            self._tell("full", "does not keep up, rows are dropped; all rows are in metrics.jsonl")

    def _work(self, last_step: int, history: list[tuple[int, dict[str, Value]]]) -> None:
        known = self._attempt(self.dashboard.start, last_step)
        if known is None:
            self._errors, known = MAX_ERRORS, last_step
        for step, values in history:
            if step > known:
                self._attempt(self.dashboard.log, step, values)
        while item := self._calls.get():
            call, args = item
            if call != self.dashboard.log or args[0] > known:
                self._attempt(call, *args)

    def _attempt(self, call: Callable[..., Any], *args: Any) -> Any:
        if self._errors >= MAX_ERRORS:
            return None
        try:
            result = call(*args)
            self._errors = 0
            return result
        except Exception as error:  # whatever it is: it must not reach training
            self._errors += 1
            words = f"{reason(error)}; training goes on, all rows are in metrics.jsonl"
            self._tell("error", f"{words}; {self.dashboard.remedy()}")
            return None

    def _tell(self, kind: str, text: str) -> None:
        if kind not in self._told:
            self._told.add(kind)
            logger.warning("%s: %s", self.name, text)
