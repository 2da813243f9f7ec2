"""What a run shows: metrics.jsonl, pictures and a progress bar, all written by the main process."""

import contextlib
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from torch import Tensor
from tqdm import tqdm

from gan_dist.config import Config
from gan_dist.errors import UserError
from gan_dist.metrics_file import MetricsFile
from gan_dist.pictures import save_curves, save_grid


class Tracker:
    """The run folder and the terminal. Off the main process every method does nothing.

    A disk that cannot be written costs rows and pictures, with a warning, never the run.
    """

    def __init__(self, folder: Path, config: Config, total_steps: int, is_main: bool) -> None:
        self.folder, self.config = folder, config
        self.total_steps, self.is_main = total_steps, is_main
        self._warned = ""

    def open(self, step: int) -> None:
        """Begin, or go on after `step`. Raises UserError."""
        self._log_time, self._log_step = time.monotonic(), step
        try:
            self._metrics = MetricsFile(self.folder / "metrics.jsonl")
        except OSError as error:
            raise UserError(f"--run-dir {self.folder}: cannot be written ({error.strerror}); name another") from None
        self._bar = tqdm(
            total=self.total_steps, initial=step, unit="step", disable=not sys.stderr.isatty(), dynamic_ncols=True
        )

    @contextlib.contextmanager
    def _tolerate(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            warning = f"warning: {self.folder}: {what} not written ({error.strerror})"
            if warning != self._warned:
                print(warning, file=sys.stderr)
            self._warned = warning

    def sync(self) -> None:
        """Bring the rows so far to the disk. Raises OSError."""
        self._metrics.sync()

    def log(self, step: int, epoch: int, numbers: dict[str, float]) -> None:
        """Add a row to metrics.jsonl and tell the terminal."""
        if not self.is_main:
            return
        now, batch_size = time.monotonic(), self.config.run.batch_size
        speed = (step - self._log_step) * batch_size / (now - self._log_time)
        row = {"step": step, "epoch": epoch, "images_seen": step * batch_size, **numbers}
        row["images_per_second"] = round(speed, 1)
        with self._tolerate("metrics.jsonl"):
            self._metrics.append(row)
        losses = {name: f"{numbers[name]:.3f}" for name in ("loss_d", "loss_g")}
        if self._bar.disable:
            shown = " ".join(f"{name} {value}" for name, value in losses.items())
            left = timedelta(seconds=round((self.total_steps - step) * batch_size / speed))
            print(f"step {step}/{self.total_steps} epoch {epoch} {shown} {speed:.0f} images/s, {left} left", flush=True)
        else:
            self._bar.set_postfix({"epoch": epoch, **losses, "images/s": f"{speed:.0f}"}, refresh=False)
            self._bar.update(step - self._log_step)
        self._log_time, self._log_step = now, step

    def picture(self, name: str, images: Tensor) -> None:
        """Write images [N, 1, 28, 28] in [-1, 1] to img/<name>.png."""
        if self.is_main:
            with self._tolerate("a picture"):
                save_grid(images, self.folder / "img" / f"{name}.png")

    def close(self) -> None:
        """Draw the curves, close the files and say where everything is."""
        if not self.is_main:
            return
        self._bar.close()
        with self._tolerate("metrics.jsonl"):
            self._metrics.close()
        with self._tolerate("curves.png"):
            save_curves(self.folder / "metrics.jsonl", self.folder / "curves.png")
        results = ("img", "curves.png", "metrics.jsonl", "generator", "discriminator", "checkpoints")
        print(" ".join(str(self.folder / name) for name in results if (self.folder / name).exists()))
