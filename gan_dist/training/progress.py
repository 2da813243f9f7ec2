"""A run on the terminal: a bar, or lines in a log."""

import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

from tqdm import tqdm

RESULTS = ("img", "curves.png", "metrics.jsonl", "generator", "discriminator", "checkpoints", "samples.gif")


class Progress:
    """A bar on stderr if that is a terminal, or else a line on stdout for each row of metrics.

    Not through logging: these are what a run has to show, not what happened to it, and a bar is no line.
    """

    def __init__(self, total_steps: int) -> None:
        self.total_steps = total_steps

    def begin(self, step: int) -> None:
        """Begin, or go on after `step`."""
        self._step = step
        self._bar = tqdm(
            total=self.total_steps, initial=step, unit="step", disable=not sys.stderr.isatty(), dynamic_ncols=True
        )

    def show(self, row: Mapping[str, Any]) -> None:
        """Show a row of metrics."""
        step, epoch, speed = row["step"], row["epoch"], f"{row['images_per_second']:.0f}"
        losses = {name: f"{row[name]:.3f}" for name in ("loss_d", "loss_g")}
        if self._bar.disable:
            shown = " ".join(f"{name} {value}" for name, value in losses.items())
            images_left = (self.total_steps - step) * row["images_seen"] / step
            left = timedelta(seconds=round(images_left / row["images_per_second"]))
            print(f"step {step}/{self.total_steps} epoch {epoch} {shown} {speed} images/s, {left} left", flush=True)
        else:
            self._bar.set_postfix({"epoch": epoch, **losses, "images/s": speed}, refresh=False)
            self._bar.update(step - self._step)
        self._step = step

    def say(self, words: str) -> None:
        """Show a line of its own."""
        if self._bar.disable:
            print(words, flush=True)
        else:
            self._bar.write(words)

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()


def packing() -> Callable[[int, int], None]:
    """A bar on stderr, if that is a terminal, that is told how many pictures are packed, and of how many."""
    bar: tqdm[NoReturn] | None = None

    def show(done: int, total: int) -> None:
        nonlocal bar
        bar = bar or tqdm(total=total, desc="packing", unit="picture", disable=not sys.stderr.isatty())
        bar.update(done - bar.n)
        if done == total:
            bar.close()

    return show


def results(folder: Path) -> str:
    """What a run has left in its folder, as the line at the end of a log."""
    return " ".join(str(folder / name) for name in RESULTS if (folder / name).exists())
