"""What was written once stays readable: a run goes on from a checkpoint of each format that there ever was."""

import json
import shutil
from pathlib import Path

import pytest

from benchmarks.world_size import largest_difference
from gan_dist.storage import checkpoint
from tests.conftest import ROOT
from tests.faults.test_checkpoint import seal
from tests.harness import forked

SMALL = [ROOT / "tests" / "programs" / "small_linear.py", "--latent-dim", "2"]


def train_small(*args: object) -> None:
    done = forked.run(*SMALL, *args, folder=ROOT)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("stored", sorted((ROOT / "tests" / "data").glob("checkpoint_format_*")), ids=lambda p: p.name)
@pytest.mark.slow
def test_run_goes_on_from_a_stored_checkpoint(stored: Path, data_args: list[str], tmp_path: Path) -> None:
    """As if it had never stopped. Made by `small_linear.py --latent-dim 2 --max-steps 3 --num-samples 2`."""
    state = checkpoint.read_state(stored)
    assert (state["step"], state["images_seen"], state["config"]["latent-dim"]) == (3, 192, 2)
    old = Path(shutil.copytree(stored, tmp_path / "old"))
    if "mnist-5k" in data_args:  # where there is no MNIST to go on with
        seal(old, config=json.loads((old / "state.json").read_text())["config"] | {"dataset": "mnist-5k"})
    args = [*data_args, "--num-samples", 2, "--max-steps", 6]
    train_small(*args, "--resume", old, "--run-dir", tmp_path / "resumed")
    train_small(*args, "--run-dir", tmp_path / "whole")
    if "mnist-5k" not in data_args:
        assert largest_difference(tmp_path / "resumed", tmp_path / "whole") < 1e-6
