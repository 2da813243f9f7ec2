"""A terminal, a pipe or a log that is gone or full costs words, never the run."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gan_dist import load_generator
from tests.conftest import ROOT, TRAIN
from tests.harness.runs import fill, last_step, small_disk, wait_until

COMMAND = [sys.executable, str(TRAIN)]


SLOW = (pytest.param(ending, marks=pytest.mark.slow) for ending in ("| head -n 1", "<&- 2>&-"))


@pytest.mark.parametrize("ending", ["2>&1 | head -n 1", ">&- 2>&-", *SLOW])
def test_closed_output(ending: str, data_args: list[str], tmp_path: Path) -> None:
    args = [*COMMAND, *data_args, "--max-steps", "60", "--log-every", "5", "--run-dir", str(tmp_path / "run")]
    script = f'"$@" {ending}; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(["bash", "-c", script, "bash", *args], cwd=ROOT, timeout=120, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Exception" not in done.stderr
    assert last_step(tmp_path / "run") == 60
    load_generator(tmp_path / "run")
    for file in tmp_path.rglob("*.safetensors"):  # nothing was printed into a file that got a closed one's number
        assert b"step 5/60" not in file.read_bytes()


@pytest.mark.parametrize("ending", ["2>/dev/full", pytest.param(">&- 2>&-", marks=pytest.mark.slow)])
def test_warnings_that_cannot_be_written(ending: str, run_200: Path, data_args: list[str], tmp_path: Path) -> None:
    run = Path(shutil.copytree(run_200, tmp_path / "run"))
    shutil.copytree(run / "checkpoints" / "step_00000200", run / "checkpoints" / "step_00000201")
    (run / "checkpoints" / "step_00000201" / "generator.safetensors").write_bytes(b"")  # a warning, and why
    args = [*COMMAND, *data_args, "--max-steps", "210", "--run-dir", str(run)]
    done = subprocess.run(["bash", "-c", f'"$@" {ending}', "bash", *args], cwd=ROOT, timeout=120)
    assert done.returncode == 0
    assert last_step(run) == 210
    for file in run.rglob("*"):
        assert file.is_dir() or b"is skipped" not in file.read_bytes()


@pytest.mark.slow
def test_full_disk_under_the_log(data_args: list[str], tmp_path: Path) -> None:
    """Words come again once there is room again."""
    with small_disk(tmp_path / "disk", "64k") as disk:
        log, run = disk / "train.log", tmp_path / "run"
        args = [*COMMAND, *data_args, "--max-steps", "400", "--log-every", "1", "--run-dir", str(run)]
        with log.open("ab") as stream:
            process = subprocess.Popen(args, cwd=ROOT, stdout=stream, stderr=stream, text=True)
            wait_until(lambda: last_step(run) >= 10, process)
            fill(disk / "filler")
            step = last_step(run)
            wait_until(lambda: last_step(run) >= step + 100, process)
            (disk / "filler").unlink()
            process.wait(timeout=120)
        assert process.returncode == 0, log.read_text()
        words = log.read_text()
        assert f"step {step + 50}/400" not in words
        assert "step 400/400" in words
    assert load_generator(run)(torch.zeros(1, 100)).isfinite().all()
