"""What differs between runs: `python -m gan_dist.compare RUN RUN [...] [--out FILE.png] [--at EPOCH ...] [--json]`."""

import hashlib
import itertools
import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gan_dist.arguments import Parser, check_parent
from gan_dist.config.parsing import read_whole
from gan_dist.errors import UserError, exit_code
from gan_dist.evaluation.floor import FILES, floor_of
from gan_dist.invocation import COMMANDS, command

WIDTH = 100  # of output that is no terminal
# Options that change no number: where things are, how often they are saved and shown.
ASIDE = {"data-dir", "data-placement", "checkpoint-every", "checkpoint-minutes", "keep-checkpoints", "timeout-minutes"}
ASIDE |= {"tracker", "log-every", "sample-every", "num-samples"}
OF_DISTANCES = ("dataset", "image-size", "channels", "background", "eval-images")  # must agree to compare them
MEASURED_REAL = 10_000  # images, of which the figures of real ones are

Rows = Sequence[Mapping[str, Any]]
ByRun = Mapping[str, dict[str, Any]]


def main() -> int:
    parser = Parser(prog=command("compare"), description=COMMANDS["compare"])
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folders, also of runs that are not finished")
    parser.add_argument("--out", metavar="FILE.png", help="draw the distances and losses of all runs")
    parser.add_argument("--at", nargs="+", metavar="EPOCH", default=[], help="print the distances after these as well")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    options = parser.parse_args()
    epochs = [read_whole("--at", word) for word in options.at]
    if epochs and min(epochs) < 1:
        raise UserError(f"--at {min(epochs)}: must be at least 1")
    picture = options.out and Path(os.path.expanduser(options.out))
    if picture:
        check_parent("--out", options.out, picture)
        if picture.suffix != ".png":
            raise UserError(f"--out {options.out}: must be the name of a .png file")
    folders = _named([Path(os.path.expanduser(run)) for run in options.runs])

    from gan_dist.config.resolve import read_record  # here, so that --help and errors do not wait for them
    from gan_dist.tracking.curves import save_comparison
    from gan_dist.tracking.summary import read_metrics, summarise

    recorded = {name: read_record(folder / "config.yaml") for name, folder in folders.items()}
    rows = {name: read_metrics(folder) for name, folder in folders.items()}
    runs = {name: summarise(folder, rows[name], recorded[name], epochs) for name, folder in folders.items()}
    evaluated = [recorded[name] for name, run in runs.items() if run["best"]]
    with_floor = [recorded[name]["dataset"] for name, run in runs.items() if "times_real" in (run["best"] or ())]
    report = {
        "runs": runs,
        "real": {FILES[dataset]: floor_of(dataset) for dataset in with_floor},
        "options": _differing(folders, recorded),
        "notes": [*_notes(evaluated, bool(with_floor))],
    }
    if picture:
        try:
            save_comparison(_labelled(rows, recorded), picture)
        except OSError as error:
            raise UserError(f"--out {options.out}: cannot be written ({error.strerror}); name another") from None
    print(json.dumps(report) if options.json else "\n".join(_tables(report, epochs)))
    if picture and not options.json:
        print(f"\n{picture}")
    return 0


def _named(folders: Sequence[Path]) -> dict[str, Path]:
    """The runs by short names that differ. Raises UserError for a folder that is none of a run, or named twice."""
    for folder in folders:
        if not (folder / "config.yaml").is_file():
            raise UserError(f"{folder}: is no run folder, as it has no config.yaml; name another")
    places = [folder.resolve() for folder in folders]
    for number, folder in enumerate(folders):
        if places[number] in places[:number]:
            raise UserError(f"{folder}: is named twice; name each run once")
    parts = [Path(os.path.abspath(folder)).parts for folder in folders]
    some = (["/".join(part[-size:]) for part in parts] for size in itertools.count(1))
    return dict(zip(next(names for names in some if len(set(names)) == len(names)), folders, strict=True))


def _labelled(rows: Mapping[str, Rows], recorded: ByRun) -> dict[str, Rows]:
    """With the data set beside the name of each run, if they have several."""
    data = {name: Path(options["dataset"]).name for name, options in recorded.items()}
    return {f"{name} ({data[name]})" if len({*data.values()}) > 1 else name: rows[name] for name in rows}


def _differing(folders: Mapping[str, Path], recorded: ByRun) -> ByRun:
    """{option: {run: value}} of the options that change numbers and are not the same in all runs."""
    names = [name for name in next(iter(recorded.values())) if name not in ASIDE]
    options = {name: {run: recorded[run][name] for run in recorded} for name in names}
    for run, code in ((run, folder / "model.py") for run, folder in folders.items()):
        if code.is_file():  # of networks of one's own: what they are, not where they were
            digest = hashlib.sha256(code.read_bytes()).hexdigest()[:8]
            options["model"][run] = f"{Path(options['model'][run]).name} ({digest})"
    return {name: values for name, values in options.items() if len({*map(repr, values.values())}) > 1}


def _notes(evaluated: Sequence[dict[str, Any]], has_real: bool) -> Iterator[str]:
    """What to know of the distances of runs with these options; has_real: whether real images are shown beside them."""

    def values(option: str) -> set[Any]:
        return {FILES.get(options[option], options[option]) for options in evaluated}

    if differing := [f"--{option}" for option in OF_DISTANCES if len(values(option)) > 1]:
        yield f"distances cannot be compared between runs that differ in {', '.join(differing)}"
    if has_real and any(num < MEASURED_REAL for num in values("eval-images")):
        yield f"the Frechet distance of fewer than {MEASURED_REAL:,} images is higher; real ones have it of so many"


def _tables(report: dict[str, Any], epochs: Sequence[int]) -> Iterator[str]:
    from gan_dist.tracking.tables import STATE, lay_out, of_figures, of_numbers, of_options

    width = shutil.get_terminal_size((WIDTH, 0)).columns
    runs: ByRun = report["runs"]
    real = {f"real {name}": figures | {"times_real": 1} for name, figures in report["real"].items()}
    best, last = ({name: run[which] for name, run in runs.items() if run[which]} for which in ("best", "last"))
    yield from lay_out(of_numbers(runs, STATE), width)
    if best:
        yield f"\nBest evaluation{', which is the last' if best == last else ''}"
        yield from lay_out(of_figures(best, real), width)
    if best != last:
        yield "\nLast evaluation"
        yield from lay_out(of_figures(last, real), width)
    if epochs:
        yield "\nDistances after epochs"
        formats = {**dict.fromkeys(map(str, epochs), ".3f"), "best": ".3f", "in epoch": ","}
        yield from lay_out(of_numbers({name: _growth(run) for name, run in runs.items()}, formats), width)
    if report["options"]:
        yield "\nOptions that differ"
        yield from lay_out(of_options(report["options"], width), width)
    if report["notes"]:
        yield from ("", *(line for note in report["notes"] for line in textwrap.wrap(f"note: {note}", width)))


def _growth(run: dict[str, Any]) -> dict[str, Any]:
    """Of a run: {epoch: distance}, and where it was best."""
    if not (best := run["best"]):
        return run["at"]
    distance = best.get("frechet_distance", best.get("sliced_distance"))
    return run["at"] | {"best": distance, "in epoch": best["epoch"] + 1}


if __name__ == "__main__":
    sys.exit(exit_code(main))
