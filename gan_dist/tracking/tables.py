"""Runs beside each other, as text for a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

STATE = {"state": "", "step": ",", "images_seen": ",", "seconds": ",.0f", "images_per_second": ",.0f"}
FIGURES = {"step": ",", "images_seen": ",", "frechet_distance": ".3f", "times_real": ".2f", "sliced_distance": ".3f"}
FIGURES |= dict.fromkeys(("precision", "recall", "digit_kl", "as_asked"), ".4f")
HEADS = {"images_seen": "images", "images_per_second": "images/s"}
HEADS |= {"frechet_distance": "Frechet", "times_real": "x real", "sliced_distance": "sliced"}

Table = Sequence[Sequence[str]]  # rows, of which the first has the heads


def of_numbers(lines: Mapping[str, Mapping[str, Any]], formats: Mapping[str, str]) -> Table:
    """{name of a line: {column: value}} -> a table of the columns in `formats`."""
    head = ["", *(HEADS.get(name, name) for name in formats)]
    return [
        head,
        *([key, *(_cell(line.get(name), form) for name, form in formats.items())] for key, line in lines.items()),
    ]


def of_figures(evaluations: Mapping[str, Mapping[str, Any]], real: Mapping[str, Mapping[str, Any]]) -> Table:
    """{run: figures}, {kind of real images: figures} -> a table of the figures that any run has."""
    there = {name for figures in evaluations.values() for name in figures}
    return of_numbers({**evaluations, **real}, {name: form for name, form in FIGURES.items() if name in there})


def of_options(options: Mapping[str, Mapping[str, Any]], width: int) -> Table:
    """{option: {run: value}} -> a line for each option, or for each run if only that fits."""
    head = ["", *next(iter(options.values()))]
    by_option = [head, *([option, *map(_word, values.values())] for option, values in options.items())]
    by_run = list(zip(*by_option, strict=True))
    return by_run if sum(_widths(by_run)) <= width < sum(_widths(by_option)) else by_option


def lay_out(table: Table, width: int) -> Iterator[str]:
    """The lines of a table; columns that do not fit come below, beside the first column again."""
    widths = _widths(table)
    first = 1
    while first < len(widths):
        last = first + 1
        while last < len(widths) and widths[0] + sum(widths[first : last + 1]) <= width:
            last += 1
        if first > 1:
            yield ""
        for row in table:
            yield f"{row[0]:{widths[0]}}" + "".join(f"{row[place]:>{widths[place]}}" for place in range(first, last))
        first = last


def _widths(table: Table) -> list[int]:
    """Of columns, with two blanks before all but the first."""
    return [max(map(len, column)) + 2 * (place > 0) for place, column in enumerate(zip(*table, strict=True))]


def _cell(value: Any, form: str) -> str:
    return "-" if value is None else format(value, form)


def _word(value: Any) -> str:
    """An option's value."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    words = value if isinstance(value, list) else [] if value is None else [value]
    return " ".join(map(str, words)) or "-"
