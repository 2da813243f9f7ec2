"""The command `compare` on real runs: evaluated, not evaluated, running, killed, damaged."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gan_dist.compare import ASIDE, OF_DISTANCES
from gan_dist.config.options import Config
from gan_dist.storage.metrics_file import read_rows
from tests.conftest import ROOT, train
from tests.harness import forked
from tests.harness.runs import kill, last_step, start, wait_until


def compare(*args: object, width: int = 80) -> subprocess.CompletedProcess[str]:
    return forked.run("-m", "gan_dist.compare", *args, folder=ROOT, timeout=120, environment={"COLUMNS": str(width)})


def compared(*args: object) -> dict[str, Any]:
    done = compare(*args, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@pytest.fixture(scope="module")
def evaluated(data_args: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 20 steps, evaluated after 10 and 20."""
    args = ["--max-steps", 20, "--log-every", 5, "--sample-every", 20, "--batch-size", 16, "--seed", 3]
    epoch = 312 if "mnist-5k" in data_args else 3750
    args += ["--eval-every", 10 / epoch, "--eval-images", 100]
    return train(1, tmp_path_factory.mktemp("evaluated") / "a", *data_args, *args)


@pytest.fixture
def copied(evaluated: Path, tmp_path: Path) -> Callable[..., Path]:
    """Copies of it, with other rows or options."""

    def copy(name: str, rows: list[dict[str, Any]] | None = None, **options: str) -> Path:
        folder = tmp_path / name
        shutil.copytree(evaluated, folder)
        if rows is not None:
            (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        record = (folder / "config.yaml").read_text().splitlines()
        kept = [line for line in record if line.split(":")[0] not in options]
        (folder / "config.yaml").write_text("\n".join([*kept, *(f"{key}: {value}" for key, value in options.items())]))
        return folder

    return copy


def test_tables(evaluated: Path, run_200: Path) -> None:
    done = compare(evaluated, run_200, "--at", 1, 2)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    lines = [line.split() for line in done.stdout.splitlines()]
    rows = read_rows(evaluated / "metrics.jsonl")
    best = min(row["eval_frechet_distance"] for row in rows if "eval_frechet_distance" in row)
    last = rows[-1]["eval_frechet_distance"]
    assert ["a", "done", "20", "320"] in [words[:4] for words in lines]
    assert ["run", "done", "200", "12,800"] in [words[:4] for words in lines]
    assert ["a", f"{last:.3f}", "-", f"{best:.3f}", "1"] in lines
    assert ["run", "-", "-", "-", "-"] in lines
    assert ["real", "mnist", "-", "-", "0.105", "1.00"] in [words[:6] for words in lines]
    for same in (["seed", "3", "0"], ["batch-size", "16", "64"], ["max-steps", "20", "200"]):
        assert same in lines
    assert "lr-g" not in done.stdout  # it is the same
    assert "log-every" not in done.stdout
    assert "note: the Frechet distance of fewer than 10,000" in done.stdout


def test_wide_table_of_many_runs(copied: Callable[..., Path]) -> None:
    """Ten runs that differ in a seed take a line each; where nothing fits, columns follow below."""
    runs = [copied(f"run-of-seed-{seed}", seed=str(seed)) for seed in range(10)]
    lines = [line.split() for line in compare(*runs, width=100).stdout.splitlines()]
    options = lines[lines.index(["Options", "that", "differ"]) + 1 :]
    assert options[:11] == [["seed"], *([f"run-of-seed-{seed}", str(seed)] for seed in range(10))]
    narrow = compare(*runs, width=40).stdout.splitlines()
    assert max(map(len, narrow)) <= 40
    assert sum(line.startswith("run-of-seed-7 ") for line in narrow) > 4


def test_states_and_notes(evaluated: Path, copied: Callable[..., Path], tmp_path: Path) -> None:
    rows = read_rows(evaluated / "metrics.jsonl")
    place = {name: rows[-1][name] for name in ("step", "epoch", "images_seen")}
    nan = copied("nan", [*rows, place | {"not_finite": 1}])
    one = copied("one", rows[:1], **{"max-steps": "null", "dataset": "/elsewhere/one"})
    none = copied("none", [], **{"data-dir": "elsewhere"})
    other = copied("other", None, dataset="fashion-mnist")
    longer = copied("longer", None, **{"max-steps": "30"})
    report = compared(evaluated, nan, one, none, other, longer, "--out", tmp_path / "all.png")
    states = {name: (run["state"], run["step"]) for name, run in report["runs"].items()}
    expected = {"a": ("done", 20), "nan": ("not finite", 20), "one": ("stopped", 5), "none": ("stopped", 0)}
    assert states == expected | {"other": ("done", 20), "longer": ("stopped", 20)}
    ours, first = report["runs"]["a"], report["runs"]["one"]
    assert ours["last"]["frechet_distance"] == rows[-1]["eval_frechet_distance"]
    assert ours["best"]["frechet_distance"] <= ours["last"]["frechet_distance"]
    assert ours["best"]["times_real"] > report["runs"]["other"]["best"]["times_real"] / 10
    assert first["images_per_second"] == pytest.approx(rows[0]["images_per_second"], abs=0.1)
    assert first["best"] is report["runs"]["none"]["last"] is None
    assert report["options"].keys() == {"dataset", "max-steps"}
    assert report["options"]["dataset"]["one"] == "/elsewhere/one"
    assert report["real"].keys() == {"mnist", "fashion-mnist"}
    assert report["notes"][0] == "distances cannot be compared between runs that differ in --dataset"
    with Image.open(tmp_path / "all.png") as picture:
        assert picture.width == 960
        assert picture.height > 900  # three panels


def test_code_of_networks_is_compared(copied: Callable[..., Path]) -> None:
    runs = [copied(name, None, model=f"/{name}/mine.py") for name in "xyz"]
    for run, code in zip(runs, ("1", "1", "2"), strict=True):
        (run / "model.py").write_text(code)
    assert "model" not in compared(*runs[:2])["options"]
    names = compared(*runs[1:])["options"]["model"]
    assert names["y"].split()[0] == names["z"].split()[0] == "mine.py"
    assert names["y"] != names["z"]


def test_run_that_is_killed(data_args: list[str], tmp_path: Path) -> None:
    process = start(*data_args, "--log-every", 10, "--max-steps", 100_000, "--run-dir", tmp_path / "run")
    try:
        wait_until(lambda: last_step(tmp_path / "run"), process)
        done = compare(tmp_path / "run", "--json")
    finally:
        kill(process)
    assert json.loads(done.stdout)["runs"]["run"]["state"] == "running"
    (ended,) = compared(tmp_path / "run")["runs"].values()
    assert (ended["state"], ended["step"]) == ("stopped", last_step(tmp_path / "run"))


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ([], "the following arguments are required: RUN"),
        (["nowhere"], "nowhere: is no run folder, as it has no config.yaml"),
        (["tests"], "tests: is no run folder"),
        (["nowhere", "--out", "nowhere/a.png"], "--out nowhere/a.png: there is no folder nowhere"),
        (["nowhere", "--out", "a.xyz"], "--out a.xyz: must be the name of a .png file"),
        (["nowhere", "--at", "0"], "--at 0: must be at least 1"),
        (["nowhere", "--at", "x"], "--at x: must be a whole number"),
    ],
)
def test_bad_input_is_one_line(args: list[str], expected: str) -> None:
    done = compare(*args)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert done.stderr.startswith(f"error: {expected}")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("metrics.jsonl", '{"step": 1, "epoch": 0, "images_seen": 16}\n{"step": 2}\n'),
        ("metrics.jsonl", '{"step": 1, "epoch": 0, "images_seen": 16, "loss_d": "0.7"}\n'),
        ("metrics.jsonl", "\0\0}\n"),
        ("config.yaml", "batch-size: many\n"),
        ("config.yaml", "a: [\n"),
    ],
)
def test_damaged_file_is_one_line(name: str, content: str, evaluated: Path, copied: Callable[..., Path]) -> None:
    run = copied("damaged")
    (run / name).write_text(content)
    done = compare(evaluated, run, "--out", run / "a.png")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert str(run) in done.stderr
    assert name in done.stderr
    assert not (run / "a.png").exists()


def test_run_named_twice(evaluated: Path) -> None:
    done = compare(evaluated, f"{evaluated}/../a")
    assert done.stderr == f"error: {evaluated}/../a: is named twice; name each run once\n"


def test_options_that_are_named_exist() -> None:
    assert Config().to_dict().keys() >= ASIDE | set(OF_DISTANCES)
