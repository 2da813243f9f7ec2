"""What the package says: a command prints it, in somebody's own script it is Python's logging."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from accelerate import Accelerator

from gan_dist.tracking.tracker import Tracker
from tests.conftest import ROOT

COMMAND = """
import logging, sys
from gan_dist.errors import UserError, exit_code, tell

def program() -> int:
    logging.basicConfig()  # as some library may do
    logger = logging.getLogger("gan_dist.storage.saver")
    logger.debug("details")
    logger.info("going on from %s", "here")
    logger.warning("100% full")
    {ending}

sys.exit(exit_code(program))
"""
SCRIPT = """
import time
from pathlib import Path
import torch
from gan_dist.storage.saver import Saver

saver = Saver(Path({folder!r}))
for _ in range(2):  # the second one waits for the first
    saver.save({{"g": {{"w": torch.ones(1)}}}}, {{"step": 7, "odd": {{1}}}}, before=lambda: time.sleep(0.2))
saver.wait()
"""


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("ending", "rank", "code", "last"),
    [
        ("return 0", "0", 0, ""),
        ("raise UserError('--lr 0: take 1')", "0", 2, "error: --lr 0: take 1\n"),
        ("raise UserError('--lr 0: take 1')", "1", 2, ""),  # process 0 has said it
        ("raise tell(UserError('--lr 0: take 1'))", "1", 2, "error: --lr 0: take 1\n"),  # of this process alone
    ],
)
def test_a_command_prints_it(ending: str, rank: str, code: int, last: str) -> None:
    done = run(COMMAND.format(ending=ending), RANK=rank)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr == "going on from here\nwarning: 100% full\n" + last


@pytest.mark.seconds
def test_a_script_that_sets_up_no_logging_gets_warnings_alone(tmp_path: Path) -> None:
    done = run(SCRIPT.format(folder=str(tmp_path)))
    words = "step_00000007 was not saved (Object of type set is not JSON serializable); last good checkpoint: none\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, "", 2 * words)


def test_a_tracker_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rows: list[dict[str, float]] = []
    tracker = Tracker(tmp_path, [], 8, Accelerator(cpu=True), rows.append)
    tracker.open(0, "01234567", {})
    for step in (1, 2):
        tracker.log(
            step,
            0,
            dict.fromkeys(("loss_d", "loss_g", "accuracy_real", "accuracy_fake", "logit_real", "logit_fake"), 0.5),
        )
    tracker.close(0, 1)
    assert [row["images_seen"] for row in rows] == [8, 16]
    assert capfd.readouterr() == ("", "")
