"""The command `replay`: a step of a run once more, and the step at which a run went wrong."""

import json
import re
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from gan_dist.errors import UserError
from gan_dist.replay import main
from gan_dist.storage.metrics_file import read_rows
from tests.conftest import ROOT, TRAIN, train_alone
from tests.harness import forked


@pytest.fixture
def replay(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The command, in this process, which has torch already -> what it prints."""

    def run(*args: object) -> str:
        monkeypatch.setattr(sys, "argv", ["replay", *map(str, args)])
        assert main() == 0
        return capsys.readouterr().out

    return run


def test_a_run_of_two_processes_that_diverged(data_args: list[str], tmp_path: Path, replay: Callable[..., str]) -> None:
    """The message names a command, which shows the step from inside, in one process."""
    rates = ["--objective", "lsgan", "--lr-g", "1e4", "--lr-d", "1e4", "--lr-warmup", 128000]
    options = [*data_args, *rates, "--max-steps", 100, "--run-dir", tmp_path / "run"]
    done = forked.run(TRAIN, *options, folder=ROOT, num_processes=2)
    (message,) = (line for line in done.stderr.splitlines() if "Not finite" in line)
    python, *args = shlex.split(message.split("; ")[-1].removesuffix(" shows where it comes from"))
    assert (python, *args[:2]) == ("python", "-m", "gan_dist.replay")
    done = forked.run(*args, "--json", folder=ROOT)
    shown = json.loads(done.stdout, parse_constant=pytest.fail)  # not even NaN
    step = shown["step"]
    assert 1 < step < 50
    assert shown["begun_at"] == step - 1  # the state before it is kept
    events = shown["events"]
    bad = events[shown["first_bad"]]
    assert bad["numbers"]["bad"] > 0
    assert {event["network"] for event in events} == {
        "G",
        "D",
        "generator",
        "discriminator",
        "optimizer_g",
        "optimizer_d",
    }
    assert max(event["numbers"]["largest"] for event in events[: shown["first_bad"]]) > 1e18
    told = replay(*args[2:]).splitlines()
    assert "trained in 2 processes" in told[0]
    assert told[-2].startswith("first not finite: ")
    assert bad["layer"] in told[-2]
    with pytest.raises(UserError, match=f"after step {step}; take --step {step}"):
        replay(*args[2:-1], 100)


@pytest.fixture(scope="module")
def run(data_args: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("replay") / "run"
    cadence = ["--max-steps", 30, "--checkpoint-every", 10, "--log-every", 5]
    done = train_alone(*data_args, *cadence, "--recipe", "mnist", "--eval-every", 0, "--run-dir", folder)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_same_numbers(run: Path, tmp_path: Path, replay: Callable[..., str]) -> None:
    before = {file: file.stat().st_mtime_ns for file in run.rglob("*")}
    for step, begun_at in ((25, 20), (20, 10), (5, 0)):
        shown = json.loads(replay(run, "--step", step, "--out", tmp_path / "out", "--json"))
        (row,) = (row for row in read_rows(run / "metrics.jsonl") if row["step"] == step)
        assert shown["begun_at"] == begun_at
        assert (shown["loss_d"], shown["loss_g"]) == (row["loss_d"], row["loss_g"])
        assert shown["first_bad"] is None
    assert before == {file: file.stat().st_mtime_ns for file in run.rglob("*")}
    for name in ("real", "generated"):
        with Image.open(tmp_path / "out" / f"{name}.png") as picture:
            assert picture.size == (240, 240)  # 64 images


def test_the_table(run: Path, replay: Callable[..., str]) -> None:
    told = replay(run, "--step", 8)  # R1 is taken at every eighth step
    for words in ("G on noise", "D on real and generated images", "D for the penalty", "D for G's update"):
        assert f"\n{words} " in told
    pictures = told.splitlines()[-1].split()
    assert pictures == [f"{run}/replay/step_00000008/{name}.png" for name in ("real", "generated")]
    assert all(Path(picture).exists() for picture in pictures)


def test_bad_input(run: Path, tmp_path: Path, replay: Callable[..., str]) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(run, damaged)
    for file in damaged.glob("checkpoints/*/generator.safetensors"):
        file.write_bytes(file.read_bytes()[:-1])
    for args, words in (
        ((tmp_path / "none", "--step", 1), f"{tmp_path / 'none'}: is no run"),
        ((run, "--step", 0), "--step 0: must be at least 1"),
        ((run, "--step", "x"), "--step x: "),
        ((run, "--step", 31), "--step 31: the run has 30 steps"),
        ((run, "--step", 5, "--out", tmp_path / "a" / "b"), "there is no folder"),
        ((run, "--step", 5, "--dataset", tmp_path / "no"), f"--dataset {tmp_path / 'no'}: "),
        ((damaged, "--step", 15), "is sound"),
    ):
        with pytest.raises(UserError, match=re.escape(words)):
            replay(*args)
