"""What the rows of a run's metrics.jsonl come to: state, seconds of training, figures. It does not need torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gan_dist.errors import UserError, reason
from gan_dist.evaluation.floor import floor_of
from gan_dist.storage.lock import is_in_use
from gan_dist.storage.metrics_file import read_rows
from gan_dist.tracking.curves import DISTANCES
from gan_dist.tracking.names import EVAL

EVERY_ROW = ("step", "epoch", "images_seen")

Row = dict[str, Any]


def read_metrics(run: Path) -> list[Row]:
    """The rows of a run, [] before the first. Raises UserError if they are damaged."""
    file = run / "metrics.jsonl"
    try:
        rows = read_rows(file)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file}: cannot be read ({reason(error)}); mend it, or leave this run out") from None
    for number, row in enumerate(rows, 1):
        is_row = isinstance(row, dict) and all(isinstance(row.get(name), int) and row[name] >= 0 for name in EVERY_ROW)
        if not is_row or not all(isinstance(value, int | float) for value in row.values()):
            raise UserError(f"{file}: row {number} is none of a run; mend it, or leave this run out")
    return rows


def training_clock(rows: Sequence[Row]) -> tuple[list[int], list[float]]:
    """Images seen and the seconds of training that they took, from 0 on; evaluations count for no seconds."""
    images, seconds = [0], [0.0]
    for row in rows:
        if row.get("images_per_second"):
            seconds.append(seconds[-1] + (row["images_seen"] - images[-1]) / row["images_per_second"])
            images.append(row["images_seen"])
    return images, seconds


def seconds_of_training(rows: Sequence[Row]) -> list[tuple[float, float]]:
    """(seconds of training before it, Frechet distance) of each evaluation."""
    images, seconds = training_clock(rows)
    evaluated = [row for row in rows if "eval_seconds" in row and row["images_seen"] <= images[-1]]
    return [(float(np.interp(row["images_seen"], images, seconds)), row["eval_frechet_distance"]) for row in evaluated]


def state(run: Path, rows: Sequence[Row], options: dict[str, Any]) -> str:
    """done, running, stopped (killed, too), or not finite. options: of the run, by name."""
    if rows and "not_finite" in rows[-1]:
        return "not finite"
    if is_in_use(run):
        return "running"
    # A run records its epochs and not their steps: at least so many; exact if a row is of the end of an epoch.
    epoch = max((-(-row["step"] // (row["epoch"] + 1)) for row in rows), default=1)
    total = options["max-steps"] or options["epochs"] * epoch
    is_done = rows and rows[-1]["step"] >= total and (run / "img" / "interpolation.png").exists()
    return "done" if is_done else "stopped"


def summarise(run: Path, rows: Sequence[Row], options: dict[str, Any], epochs: Sequence[int] = ()) -> dict[str, Any]:
    """State, steps, time, the figures of the best and of the last evaluation, None without one, and distances.

    The distance at an epoch, of which the first is 1, is that of the last evaluation in it.
    """
    last: Row = rows[-1] if rows else dict.fromkeys(EVERY_ROW, 0)
    images, seconds = training_clock(rows)
    column = next((column for column in DISTANCES if any(column in row for row in rows)), "")
    evaluations = [row for row in rows if column in row]
    at = {row["epoch"] + 1: row[column] for row in evaluations}
    floor = floor_of(options["dataset"]).get("frechet_distance") if column == "eval_frechet_distance" else None

    def figures(row: Row) -> dict[str, Any]:
        times = {"times_real": row[column] / floor} if floor else {}
        return {name.removeprefix(EVAL): value for name, value in row.items() if name != EVAL + "seconds"} | times

    return {
        "folder": str(run),
        "state": state(run, rows, options),
        "step": last["step"],
        "images_seen": last["images_seen"],
        "seconds": round(seconds[-1], 1),
        "images_per_second": round(images[-1] / seconds[-1], 1) if seconds[-1] else None,
        "best": figures(min(evaluations, key=lambda row: row[column])) if evaluations else None,
        "last": figures(evaluations[-1]) if evaluations else None,
        "at": {str(epoch): at.get(epoch) for epoch in epochs},
    }
