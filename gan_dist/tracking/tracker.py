"""Writes metrics.jsonl, pictures and dashboards, all from the main process."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from torch import Tensor

from gan_dist.storage.metrics_file import MetricsFile, read_rows
from gan_dist.storage.run_folder import writing
from gan_dist.tracking.alerts import Alert, Watch
from gan_dist.tracking.curves import save_curves
from gan_dist.tracking.dashboards import Histogram, Movie, Picture, RunInfo, Value, make
from gan_dist.tracking.guard import Guard
from gan_dist.tracking.names import dashboard_name
from gan_dist.tracking.pictures import save_grid, save_growth

logger = logging.getLogger(__name__)


class Tracker:
    """Off the main process every method does nothing.

    A disk that cannot be written costs rows and pictures, with a warning, never the run. dashboards: their names;
    show: called with each row, for the terminal, say.
    """

    def __init__(
        self,
        folder: Path,
        dashboards: Sequence[str],
        batch_size: int,
        accelerator: Accelerator,
        show: Callable[[dict[str, Any]], None],
    ) -> None:
        self.folder, self.dashboards = folder, dashboards
        self.batch_size, self._show = batch_size, show
        self.is_main = accelerator.is_main_process
        self.guards: list[Guard] = []
        self._watch = Watch()
        self._warned = ""

    def open(self, step: int, run_id: str, described: dict[str, Any]) -> None:
        """Begin, or go on after `step`; `described` is the configuration for dashboards. Raises UserError."""
        self._log_time, self._log_step = time.monotonic(), step
        with writing(self.folder):
            self._metrics = MetricsFile(self.folder / "metrics.jsonl")
        history = [(row["step"], _in_dashboards(row)) for row in read_rows(self.folder / "metrics.jsonl")]
        for name in self.dashboards:
            guard = Guard(make(name, RunInfo(self.folder.absolute(), run_id, described)))
            guard.begin(step, history)
            self.guards.append(guard)

    @contextlib.contextmanager
    def _tolerate(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            warning = f"{self.folder}: {what} not written ({error.strerror})"
            if warning != self._warned:
                logger.warning(warning)
            self._warned = warning

    def sync(self) -> None:
        """Bring the rows so far to the disk. Raises OSError."""
        self._metrics.sync()

    def log(self, step: int, epoch: int, numbers: dict[str, float]) -> None:
        """Add a row to metrics.jsonl and the dashboards, and show it."""
        if not self.is_main:
            return
        now = time.monotonic()
        speed = (step - self._log_step) * self.batch_size / (now - self._log_time)
        self._show(self._add(step, epoch, numbers | {"images_per_second": round(speed, 1)}))
        self._log_time, self._log_step = now, step
        self.alert(self._watch.row(step, numbers))

    def evaluation(self, step: int, epoch: int, figures: dict[str, float]) -> None:
        """Add a row with the figures of an evaluation, the time of which counts for no speed."""
        self._add(step, epoch, figures)
        self._log_time += figures["eval_seconds"]

    def diverged(self, step: int, epoch: int, text: str) -> None:
        """Say in a row of its own, and in an alert, that a number is no longer finite."""
        if self.is_main:
            self._add(step, epoch, {"not_finite": 1})
            self.alert(Alert("Not finite", text), level=logging.ERROR)

    def _add(self, step: int, epoch: int, numbers: dict[str, float]) -> dict[str, Any]:
        row = {"step": step, "epoch": epoch, "images_seen": step * self.batch_size, **numbers}
        with self._tolerate("metrics.jsonl"):
            self._metrics.append(row)
        self._send(step, _in_dashboards(row))
        return row

    def _send(self, step: int, values: dict[str, Value]) -> None:
        for guard in self.guards:
            guard.log(values, step=step)

    def picture(self, step: int, kind: str, file: str, images: Tensor) -> None:
        """Write images [N, C, H, W] in [-1, 1] to img/<file>.png, and show them as samples/<kind>."""
        if self.is_main:
            path = self.folder / "img" / f"{file}.png"
            with self._tolerate("a picture"):
                save_grid(images, path)
                caption = f"{kind}, step {step:,}, {step * self.batch_size:,} images seen"
                self._send(step, {f"samples/{kind}": Picture(path.absolute(), caption)})

    def samples(self, step: int, diversity: float | None, logits: dict[str, Tensor]) -> None:
        """Show how much the samples differ, and the distributions of D's logits [N] over the global batch."""
        if self.is_main:
            histograms = {f"D/logits_{name}": Histogram(x.float().cpu().numpy()) for name, x in logits.items()}
            if diversity is None:
                return self._send(step, {**histograms})
            self._send(step, {"samples/diversity": diversity, **histograms})
            self.alert(self._watch.samples(step, diversity))

    def alert(self, alert: Alert | None, level: int = logging.WARNING) -> None:
        """Send an alert to the log and the dashboards."""
        if self.is_main and alert:
            logger.log(level, "%s: %s", alert.title, alert.text)
            for guard in self.guards:
                guard.alert(alert.title, alert.text)

    def weights(self, folder: Path, metadata: dict[str, str]) -> None:
        """Keep a folder of final weights with the run."""
        for guard in self.guards:
            guard.save_weights(folder, metadata)

    @property
    def is_broken(self) -> bool:
        """Whether a dashboard may hold up the exit of the process."""
        return any(guard.is_broken for guard in self.guards)

    def close(self, exit_code: int, seconds: float) -> None:
        """Draw the curves and the samples as they grew, close files and, in `seconds` at most, dashboards."""
        if not self.is_main:
            return
        with self._tolerate("metrics.jsonl"):
            self._metrics.close()
        with self._tolerate("curves.png"):
            save_curves(self.folder / "metrics.jsonl", self.folder / "curves.png")
        with self._tolerate("samples.gif"):
            if save_growth(self.folder / "img", self.folder / "samples.gif"):
                self._send(self._log_step, {"samples/growth": Movie((self.folder / "samples.gif").absolute())})
        deadline = time.monotonic() + seconds
        for guard in self.guards:
            guard.finish(exit_code, max(1.0, deadline - time.monotonic()))


def _in_dashboards(row: dict[str, Any]) -> dict[str, Value]:
    return {dashboard_name(column): value for column, value in row.items()}
