"""Dashboards with a real client: what arrives, how a run goes on in them, and that none of their faults matters."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import yaml
from PIL import Image
from safetensors.torch import load

from benchmarks.world_size import largest_difference
from gan_dist.config.resolve import parse
from gan_dist.storage.metrics_file import read_rows
from tests.conftest import ROOT, train, train_alone
from tests.harness.runs import kill, last_step, small_disk, start, wait_until
from tests.harness.wandb_server import WandbServer

LENGTH = ["--max-steps", 300, "--log-every", 10, "--sample-every", 100, "--num-samples", 4, "--checkpoint-every", 50]
LAST = 600
LONGER = ["--max-steps", LAST, "--log-every", 10, "--sample-every", 100, "--num-samples", 4, "--checkpoint-every", 50]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No key, no settings and no caches but those of the test."""
    for name in [name for name in os.environ if name.startswith(("WANDB_", "TRACKIO_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NETRC", str(tmp_path / "no_netrc"))
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    for kind in ("DATA", "CACHE", "CONFIG"):
        monkeypatch.setenv(f"WANDB_{kind}_DIR", str(tmp_path / "wandb_home"))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbServer]:
    with WandbServer() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture
def wandb_args(data_args: list[str]) -> list[object]:
    return [*data_args[:-1], "wandb", *LENGTH]


@pytest.fixture(scope="module")
def untracked(data_args: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(1, tmp_path_factory.mktemp("untracked") / "run", *data_args, *LONGER)


def steps(history: list[dict[str, Any]]) -> list[int]:
    """Steps of the rows that have losses."""
    return [row["train/step"] for row in history if "D/loss" in row]


def wandb_records(folder: Path) -> list[dict[str, Any]]:
    """Every record in the logs of a run's segments, in order."""
    records = []
    for log in sorted(folder.glob("wandb/*run-*/*.wandb")):
        command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(log)]
        done = subprocess.run(command, capture_output=True, text=True)
        records += [json.loads(line) for line in done.stdout.splitlines()]
    return records


def wandb_history(folder: Path) -> list[dict[str, Any]]:
    """The rows in the logs of a run's segments, in order."""
    return [record["history"]["item"] for record in wandb_records(folder) if record["type"] == "history"]


@pytest.mark.parametrize("num_processes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_everything_arrives(
    num_processes: int, server: WandbServer, wandb_args: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_TAGS", "small,cpu")
    monkeypatch.setenv("WANDB_RUN_GROUP", "seeds")
    folder = tmp_path / "run"
    train(num_processes, folder, *wandb_args)
    (run,) = server.runs.values()
    assert (run.project, run.display_name, run.group, run.tags) == ("gan_dist", "run", "seeds", ["small", "cpu"])
    assert run.exit_code == 0
    assert run.config["lr-g"] == 2e-4
    assert run.config["world-size"] == num_processes
    assert run.config["parameters-g"] == 293_136
    assert run.config["versions"]["torch"]
    table = read_rows(folder / "metrics.jsonl")
    assert steps(run.history()) == [row["step"] for row in table] == list(range(10, 301, 10))
    sent = [row for row in run.history() if "D/loss" in row]
    assert [row["G/loss"] for row in sent] == [row["loss_g"] for row in table]
    assert {"G/grad_norm", "D/grad_norm", "D/lr", "train/data_wait_ms", "system/peak_memory_gb"} <= sent[0].keys()
    assert run.summary["D/loss"]["min"] == min(row["loss_d"] for row in table)
    shown = {row["train/step"]: row for row in run.history() if "samples/fake" in row}
    assert sorted(shown) == [0, 100, 200, 300]
    pixels = server.pictures(run.run_id)
    for step, row in shown.items():
        picture = pixels[row["samples/fake"]["path"]]
        assert picture.max() > 100  # not black
        assert np.array_equal(picture, np.asarray(Image.open(folder / "img" / f"fake_{step:08d}.png")))
    names = {name for row in run.history() for name in row}
    assert {"samples/real", "samples/interpolation", "samples/growth"} <= names
    bins = next(row["D/logits_real"] for row in run.history() if "D/logits_real" in row)
    assert sum(bins["values"]) == 64  # the whole global batch
    (artifact,) = server.artifacts
    assert (artifact.name, artifact.state) == (f"generator-{run.run_id}", "COMMITTED")
    assert set(artifact.aliases) == {"latest", "step-300"}
    assert artifact.metadata["recipe"] == "linear"
    assert set(artifact.files) == {"model.safetensors", "config.json", "README.md"}
    assert (
        load(artifact.files["model.safetensors"]).keys()
        == load((folder / "generator" / "model.safetensors").read_bytes()).keys()
    )
    key = server.environment["WANDB_API_KEY"].encode()
    assert not [file for file in tmp_path.rglob("*") if file.is_file() and key in file.read_bytes()]


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL])
def test_resumed_run_is_one_run(
    signum: signal.Signals, server: WandbServer, data_args: list[str], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    args = [*data_args[:-1], "wandb", *LONGER, "--run-dir", folder]
    process = start(*args)
    wait_until(lambda: last_step(folder) >= 200 and server.runs, process)
    if signum == signal.SIGKILL:
        kill(process)
    else:
        process.send_signal(signum)
        process.communicate(timeout=60)
        assert [run.exit_code for run in server.runs.values()] == [128 + signum]
    done = train_alone(*args)
    assert done.returncode == 0, done.stderr
    (run,) = server.runs.values()
    assert steps(run.history()) == list(range(10, LAST + 1, 10))
    assert run.exit_code == 0


@pytest.mark.slow
def test_going_back_is_another_run(server: WandbServer, data_args: list[str], tmp_path: Path) -> None:
    """In one run steps only grow: rows of steps that it has are not taken again."""
    folder = tmp_path / "run"
    args = [*data_args[:-1], "wandb", "--log-every", 10, "--checkpoint-every", 10, "--num-samples", 4]
    train(1, folder, *args, "--max-steps", 60)
    done = train_alone(*args, "--resume", folder / "checkpoints" / "step_00000040", "--max-steps", 45)
    assert done.returncode == 0, done.stderr
    assert [steps(run.history()) for run in server.runs.values()] == [
        [10, 20, 30, 40, 50, 60],
        [10, 20, 30, 40, 45],
    ]


@pytest.mark.slow
@pytest.mark.parametrize("checkpoint_every", [50, 100_000])
def test_offline_segments_share_no_step(checkpoint_every: int, data_args: list[str], tmp_path: Path) -> None:
    """Whether the run goes on from a checkpoint or, killed before its first one, from the start."""
    folder = tmp_path / "my run"
    args = [*data_args[:-1], "wandb", *LONGER, "--checkpoint-every", checkpoint_every, "--run-dir", folder]
    process = start(*args)
    wait_until(lambda: last_step(folder) >= 200, process)
    kill(process)
    done = train_alone(*args)
    assert done.returncode == 0, done.stderr
    assert "wandb: offline (no API key); look at it: wandb leet " in done.stderr
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("wandb: offline"))
    look, upload = (shlex.split(line.split(after)[1].split(";")[0]) for after in ("look at it: ", "upload it later: "))
    assert look == ["wandb", "leet", upload[-1]]
    assert Path(upload[-1]).parent == folder / "wandb"
    assert len(list(folder.glob("wandb/offline-run-*"))) == 2
    assert steps(wandb_history(folder)) == list(range(10, LAST + 1, 10))


def break_nothing(server: WandbServer, process: subprocess.Popen[str]) -> None:
    pass


def stop(server: WandbServer, process: subprocess.Popen[str]) -> None:
    server.stop()


def hang(server: WandbServer, process: subprocess.Popen[str]) -> None:
    server.delay = 1000


def fail(server: WandbServer, process: subprocess.Popen[str]) -> None:
    server.fail = 500


def kill_helper(server: WandbServer, process: subprocess.Popen[str]) -> None:
    for child in psutil.Process(process.pid).children(recursive=True):
        if "wandb-core" in child.name():
            child.kill()


@pytest.mark.parametrize(
    ("early", "late"),
    [
        (stop, break_nothing),  # no server
        pytest.param(hang, break_nothing, marks=pytest.mark.slow),
        pytest.param(fail, break_nothing, marks=pytest.mark.slow),
        pytest.param(break_nothing, stop, marks=pytest.mark.slow),
        pytest.param(break_nothing, hang, marks=pytest.mark.slow),
        pytest.param(break_nothing, fail, marks=pytest.mark.slow),
        pytest.param(break_nothing, kill_helper, marks=pytest.mark.slow),
    ],
    ids=lambda fault: fault.__name__,
)
def test_faults_do_not_reach_training(
    early: Any, late: Any, server: WandbServer, data_args: list[str], tmp_path: Path, untracked: Path
) -> None:
    folder = tmp_path / "run"
    args = [*data_args[:-1], "wandb", *LONGER]
    early(server, None)
    process = start(*args, "--run-dir", folder)
    if late is not break_nothing:
        wait_until(lambda: server.runs and last_step(folder) >= 100, process)
        late(server, process)
    wait_until(lambda: last_step(folder) >= LAST, process)
    since = time.monotonic()
    words, _ = process.communicate(timeout=120)
    closing = time.monotonic() - since
    print(f"closed in {closing:.1f} s; said: {[line for line in words.splitlines() if 'wandb:' in line]}")
    assert process.returncode == 0, words
    assert closing < 65
    assert largest_difference(folder, untracked) == 0
    assert [row["step"] for row in read_rows(folder / "metrics.jsonl")] == list(range(10, LAST + 1, 10))
    assert "Traceback" not in words
    assert 1 <= words.count("wandb:") <= 2, words  # where the run is, and what went wrong
    assert "wandb sync" in words
    if late is not kill_helper:  # everything is in the run folder
        assert steps(wandb_history(folder)) == list(range(10, LAST + 1, 10))


@pytest.mark.slow
def test_refused_key(server: WandbServer, data_args: list[str], tmp_path: Path, untracked: Path) -> None:
    server.refuse_key = True
    folder = tmp_path / "run"
    done = train_alone(*data_args[:-1], "wandb", *LONGER, "--run-dir", folder)
    assert done.returncode == 0, done.stderr
    assert "wandb: offline (the server did not take the run" in done.stderr
    assert steps(wandb_history(folder)) == list(range(10, LAST + 1, 10))
    assert largest_difference(folder, untracked) == 0
    key = server.environment["WANDB_API_KEY"]
    assert key not in done.stdout + done.stderr


@pytest.mark.slow
def test_full_disk_of_the_dashboard(data_args: list[str], tmp_path: Path, untracked: Path) -> None:
    folder = tmp_path / "run"
    with small_disk(tmp_path / "disk", "64k") as disk:
        done = train_alone(*data_args[:-1], "wandb", *LONGER, "--run-dir", folder, WANDB_DIR=str(disk))
    assert done.returncode == 0, done.stderr
    assert [row["step"] for row in read_rows(folder / "metrics.jsonl")] == list(range(10, LAST + 1, 10))
    assert largest_difference(folder, untracked) == 0
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("title", "options"),
    [
        ("Not finite", ["--lr-g", "1e38", "--lr-d", "1e38"]),
        pytest.param("D wins", ["--lr-g", "1e-9", "--lr-d", "1e-3"], marks=pytest.mark.slow),
        pytest.param("Collapse", ["--lr-g", "0.3", "--lr-d", "1e-6"], marks=pytest.mark.slow),
    ],
)
def test_alert_on_a_run_that_fails(
    title: str, options: list[str], server: WandbServer, wandb_args: list[object], tmp_path: Path
) -> None:
    done = train_alone(*wandb_args, *options, "--run-dir", tmp_path / "run")
    (run,) = server.runs.values()
    assert [alert.title for alert in run.alerts] == [title], done.stderr
    assert done.stderr.count(f"{title}: step ") == 1
    assert done.returncode == run.exit_code == (1 if title == "Not finite" else 0)


@pytest.mark.slow
def test_no_alert_on_a_run_that_does_well(server: WandbServer, wandb_args: list[object], tmp_path: Path) -> None:
    train(1, tmp_path / "run", *wandb_args)
    (run,) = server.runs.values()
    assert run.alerts == []


@pytest.mark.slow
def test_trackio_and_tensorboard(data_args: list[str], tmp_path: Path) -> None:
    """Both at once, killed and resumed: every step once."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = tmp_path / "run"
    args = [*data_args[:-1], "trackio,tensorboard", *LONGER, "--run-dir", folder]
    process = start(*args)
    wait_until(lambda: last_step(folder) >= 200, process)
    kill(process)
    done = train_alone(*args)
    assert done.returncode == 0, done.stderr
    events = EventAccumulator(str(folder / "tensorboard"), size_guidance={"images": 0}).Reload()
    table = {row["step"]: row["loss_d"] for row in read_rows(folder / "metrics.jsonl")}
    losses = {event.step: event.value for event in events.Scalars("D/loss")}
    assert losses == pytest.approx(table, rel=1e-6)
    assert [event.step for event in events.Images("samples/fake")] == list(range(0, LAST + 1, 100))
    (growth,) = events.Images("samples/growth")
    assert growth.encoded_image_string == (folder / "samples.gif").read_bytes()
    code = "import json, sys, trackio; print(json.dumps(trackio.SQLiteStorage.get_logs('gan_dist', sys.argv[1])))"
    (run_id,) = (folder / ".id").read_text().split()
    command = [sys.executable, "-c", code, f"run-{run_id}"]
    rows = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
    assert [row["step"] for row in rows if "D/loss" in row] == list(range(10, LAST + 1, 10))


def test_unknown_and_missing_trackers(tmp_path: Path) -> None:
    done = train_alone("--tracker", "comet")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--tracker comet: take wandb, trackio, tensorboard" in done.stderr
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['trackio'] = None")  # as if not installed
    done = train_alone("--tracker", "wandb,trackio", PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "pip install trackio" in done.stderr


def test_sweeps_have_real_options() -> None:
    for file in (ROOT / "sweeps").glob("*.yaml"):
        sweep = yaml.safe_load(file.read_text())
        assert (ROOT / sweep["program"]).exists()
        fixed = [word for word in sweep["command"] if word.startswith("--") and word != "--config_file"]
        for name, choice in sweep["parameters"].items():
            value = choice.get("min", choice.get("values", [None])[0])
            assert parse([*fixed, f"--{name}={value}"]).to_dict()[name] == value
