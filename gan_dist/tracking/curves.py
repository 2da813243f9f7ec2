"""Curves of metrics as PNG files: of one run, and of several in one picture. It does not need torch."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gan_dist.storage.metrics_file import read_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, which colour-blind people tell apart, but for yellow, which is hard to see on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
LINES = ("-", "--", ":", "-.")  # for more runs than colours
SMOOTH = 20  # a loss of a comparison is the median over this part of a run's rows
DISTANCES = {"eval_frechet_distance": "Frechet distance", "eval_sliced_distance": "sliced distance"}

Rows = Sequence[Mapping[str, Any]]


class Curve(NamedTuple):
    label: str
    x: Sequence[float]
    y: Sequence[float]
    style: Mapping[str, Any]


def save_curves(metrics: Path, file: Path) -> None:
    """Draw losses, D's accuracies and, if there are any, distances to real images over the steps of a metrics.jsonl."""
    rows = read_rows(metrics)
    panels = {
        "loss": ["loss_d", "loss_g"],
        "D is right": ["accuracy_real", "accuracy_fake"],
        "distance to real images": [*DISTANCES],
    }

    def curve(name: str) -> Curve:
        steps, values = _known(rows, "step", name)
        return Curve(name.replace("_", " "), steps, values, {"linewidth": 1, "marker": "." if len(steps) < 100 else ""})

    _draw({words: [curve(name) for name in names] for words, names in panels.items()}, "step", file)


def save_comparison(runs: Mapping[str, Rows], file: Path) -> None:
    """Draw distances to real images and, smoothed, losses over the images seen; runs: {name: rows of metrics.jsonl}.

    Raises OSError.
    """
    styles = [{"color": colour, "linestyle": line, "linewidth": 1.5} for line in LINES for colour in COLOURS]
    panels = DISTANCES | {"loss_d": "loss of D, running median", "loss_g": "loss of G, running median"}

    def curve(place: int, run: str, name: str) -> Curve:
        images, values = _known(runs[run], "images_seen", name)
        is_loss = name not in DISTANCES
        marker = "" if len(values) > (1 if is_loss else 100) else "."
        style = styles[place % len(styles)] | {"marker": marker}
        return Curve(run, images, _smooth(values) if is_loss else values, style)

    curves = {words: [curve(place, run, name) for place, run in enumerate(runs)] for name, words in panels.items()}
    _draw(curves, "real images seen", file, is_comparison=True)


def _known(rows: Rows, over: str, name: str) -> tuple[list[float], list[float]]:
    known = [row for row in rows if name in row]
    return [row[over] for row in known], [row[name] for row in known]


def _smooth(values: list[float]) -> list[float]:
    """Medians over as many values before each as after it, fewer at both ends; a single bad step moves none."""
    reach = len(values) // SMOOTH // 2
    return [float(np.median(values[max(0, i - reach) : i + reach + 1])) for i in range(len(values))]


def _draw(panels: Mapping[str, Sequence[Curve]], over: str, file: Path, is_comparison: bool = False) -> None:
    """One panel below the other; those without a value are left out. A comparison has one legend for all panels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter

    panels = {words: [each for each in curves if each.x] for words, curves in panels.items()}
    panels = {words: curves for words, curves in panels.items() if curves}
    figure = Figure(figsize=(8, 3 * max(1, len(panels))), layout="constrained")
    FigureCanvasAgg(figure)
    all_axes = figure.subplots(max(1, len(panels)), sharex=True, squeeze=False)[:, 0]
    legend: dict[str, Any] = {}
    for axes, (words, curves) in zip(all_axes, panels.items(), strict=False):
        for each in curves:
            legend[each.label] = axes.plot(each.x, each.y, label=each.label, **each.style)[0]
        if "distance" in words:
            _make_log(axes, [value for each in curves for value in each.y])
        if not is_comparison:
            axes.legend()
        axes.grid(alpha=0.3, which="both")
        axes.set_ylabel(words)
    all_axes[-1].set_xlabel(over)
    figure.align_ylabels(all_axes)
    if is_comparison:
        all_axes[-1].xaxis.set_major_formatter(EngFormatter())
        columns = max(1, min(5, 100 // (6 + max(map(len, legend), default=1))))
        figure.legend(legend.values(), legend.keys(), loc="outside upper center", ncols=columns)
    figure.savefig(file, dpi=120)


def _make_log(axes: "Axes", values: Sequence[float]) -> None:
    """A log scale, with plain numbers, where values differ enough for one."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    ratio = max(values) / min(values) if min(values) > 0 else 1
    if ratio < 4:
        return
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5, 7) if ratio < 10 else (1, 2, 5) if ratio < 1e4 else (1,)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
