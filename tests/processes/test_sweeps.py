"""Sweeps with W&B's own agent: it trains what the server says, each run to its own end."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from benchmarks.world_size import digits
from gan_dist.storage.checkpoints import newest_first, step_of
from gan_dist.storage.metrics_file import read_rows
from tests.conftest import DATA_DIR, ROOT
from tests.harness.sweep_server import Parameters, SweepServer

METRIC = {"name": "eval/frechet_distance", "goal": "minimize"}
GOOD, BAD = {"lr-g": 1e-4, "lr-d": 3e-4, "batch-size": 32}, {"lr-g": 1e38, "lr-d": 1e38}


def wandb(folder: Path, server: SweepServer, *words: str) -> str:
    """Run a command of W&B to its end, with no settings but these -> what it says."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    environment |= server.environment | {f"WANDB_{kind}_DIR": str(folder) for kind in ("DATA", "CACHE", "CONFIG")}
    environment |= {"NETRC": str(folder / "none"), "WANDB_ENTITY": "tester"}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"  # where ${interpreter} is looked for
    command = [sys.executable, "-m", "wandb", *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def sweep(folder: Path, server: SweepServer, name: str, *options: str) -> str:
    """Run a sweep of this repository, with further options, to its end in a folder -> what its agent says."""
    (folder / "gan_dist").symlink_to(ROOT / "gan_dist")
    content = yaml.safe_load((ROOT / "sweeps" / f"{name}.yaml").read_text())
    content["command"][-1:] = [*options, "--num-samples=4", *digits(str(DATA_DIR)), "${args}"]
    (folder / "sweep.yaml").write_text(yaml.safe_dump(content))
    said = wandb(folder, server, "sweep", "--project", "digits", "sweep.yaml")
    return wandb(folder, server, "agent", said.split("wandb agent ")[1].split()[0])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "runs", "exit_codes"),
    [
        ("linear", [BAD, GOOD], [1, 0]),  # what does not stay finite ends alone
        ("mnist", [{"lr-g": 0.001, "lr-d": 0.002}, {"lr-g": 0.008, "lr-d": 0.004}], [0, 0]),
    ],
)
def test_agent_trains_what_it_is_given(
    name: str, runs: list[Parameters], exit_codes: list[int], tmp_path: Path
) -> None:
    with SweepServer(*runs) as server:
        said = sweep(tmp_path, server, name, "--max-steps=20", "--eval-images=500")
    assert list(server.given.values()) == runs, said
    assert [server.runs[run_id].exit_code for run_id in server.given] == exit_codes, said
    for run_id, parameters in server.given.items():
        run = server.runs[run_id]
        folder = tmp_path / "runs" / run.display_name
        for options in (run.config, yaml.safe_load((folder / "config.yaml").read_text())):
            assert {option: options[option] for option in parameters} == parameters
        if run.exit_code == 0:  # a plain number in each place where a sweep reads it
            figure = read_rows(folder / "metrics.jsonl")[-1]["eval_frechet_distance"]
            assert run.summary[METRIC["name"]] == figure
            assert [row[METRIC["name"]] for row in run.history() if METRIC["name"] in row] == [figure]
    assert server.sweeps["sweep0"].get("metric", METRIC) == METRIC


@pytest.mark.slow
def test_run_that_is_stopped_saves_and_ends(tmp_path: Path) -> None:
    with SweepServer(GOOD) as server:
        server.most_rows = 1
        said = sweep(tmp_path, server, "linear", "--epochs=1000", "--log-every=10", "--eval-every=0")
        (run,) = server.runs.values()
        assert run.exit_code == 143, said
    newest, *_ = newest_first(tmp_path / "runs" / run.display_name / "checkpoints")
    rows = read_rows(tmp_path / "runs" / run.display_name / "metrics.jsonl")
    assert step_of(newest) >= rows[-1]["step"] > 0
