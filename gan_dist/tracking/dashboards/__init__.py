"""Dashboards. Each is one file with one class; guard.py protects training from them.

A class here may block or raise: it runs on the guard's thread.
"""

from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gan_dist.errors import UserError

NAMES = ("wandb", "trackio", "tensorboard")  # of the packages as well


@dataclass(frozen=True)
class Picture:
    """A PNG in the run folder."""

    file: Path
    caption: str


@dataclass(frozen=True)
class Movie:
    """A GIF in the run folder."""

    file: Path


@dataclass(frozen=True)
class Histogram:
    """Values [N] to be shown as a histogram."""

    numbers: NDArray[np.float32]


Value = float | Picture | Movie | Histogram


@dataclass(frozen=True)
class RunInfo:
    """What a dashboard gets to know about a run."""

    folder: Path
    id: str  # the same for a resumed run
    config: dict[str, Any] = field(default_factory=dict)


class Dashboard(Protocol):
    """Every method may raise."""

    name: str

    def start(self, last_step: int) -> int:
        """Connect to the run, which goes on after `last_step`, 0 if it is new -> the last step already there, or -1."""

    def log(self, step: int, values: dict[str, Value]) -> None:
        """Show values of a step. Steps only grow."""

    def alert(self, title: str, text: str) -> None:
        """Send an alert."""

    def save_weights(self, folder: Path, metadata: dict[str, str]) -> None:
        """Keep a folder of weights."""

    def finish(self, exit_code: int) -> None:
        """Close the run."""

    def remedy(self) -> str:
        """How to upload by hand what did not arrive."""


def check(names: list[str]) -> None:
    """Raise UserError for a tracker that does not exist or is not installed."""
    for name in names:
        if name not in NAMES:
            raise UserError(
                f"--tracker {','.join(names)}: take {', '.join(NAMES)} (several with commas), or none alone"
            )
        if find_spec(name) is None:
            raise UserError(f"--tracker {name}: is not installed; pip install {name}, or take --tracker none")


def make(name: str, info: RunInfo) -> Dashboard:
    """The dashboard of that name. Imports its package only now."""
    if name == "wandb":
        from gan_dist.tracking.dashboards.wandb_run import WandbRun

        return WandbRun(info)
    if name == "trackio":
        from gan_dist.tracking.dashboards.trackio_run import TrackioRun

        return TrackioRun(info)
    from gan_dist.tracking.dashboards.tensorboard_run import TensorBoardRun

    return TensorBoardRun(info)
