"""examples/own_script.py, started as somebody would start it, and killed."""

from pathlib import Path

import pytest
from safetensors.torch import load_file

from benchmarks.world_size import digits, launch_command
from tests.conftest import DATA_DIR, launch, together
from tests.harness.runs import kill_launcher, start_command, wait_until

SCRIPT = "examples/own_script.py"
PARTS = ("generator", "discriminator", "optimizer_g", "optimizer_d")


def words(folder: Path, *args: object) -> list[object]:
    return ["--folder", folder, *digits(str(DATA_DIR)), *args]


def largest_difference(folder: Path, other: Path, name: str) -> float:
    """Of any number in two checkpoints."""
    largest = 0.0
    for part in PARTS:
        a, b = (load_file(each / name / f"{part}.safetensors") for each in (folder, other))
        assert a.keys() == b.keys()
        largest = max([largest, *(float((a[key].double() - b[key].double()).abs().max()) for key in a)])
    return largest


@pytest.mark.parametrize("first_alone", [0, pytest.param(10, marks=pytest.mark.slow)])
def test_number_of_processes_does_not_matter(first_alone: int, tmp_path: Path) -> None:
    """Also when it changes: what the main process reads, the other one gets."""
    together(1, SCRIPT, *words(tmp_path / "one", "--dtype", "float64", "--steps", 20))
    if first_alone:
        together(1, SCRIPT, *words(tmp_path / "two", "--dtype", "float64", "--steps", first_alone))
    launch(2, SCRIPT, *words(tmp_path / "two", "--dtype", "float64", "--steps", 20))
    assert largest_difference(tmp_path / "one", tmp_path / "two", "step_00000020") < 1e-10


@pytest.mark.slow
@pytest.mark.parametrize("num_processes", [1, 2, 4])
def test_killed_script_goes_on_exactly(num_processes: int, tmp_path: Path) -> None:
    whole = launch(num_processes, SCRIPT, *words(tmp_path / "whole", "--steps", 500)).stdout
    assert [line.partition(":")[0] for line in whole.splitlines()] == [f"step {n}00" for n in range(1, 6)]
    killed = start_command(launch_command(num_processes, SCRIPT, *words(tmp_path / "killed", "--steps", 500)))
    wait_until(lambda: (tmp_path / "killed" / "step_00000200").exists(), killed)
    kill_launcher(killed)
    assert not (tmp_path / "killed" / "step_00000500").exists()
    rest = launch(num_processes, SCRIPT, *words(tmp_path / "killed", "--steps", 500)).stdout
    assert rest
    assert "step 200:" not in rest
    assert whole.endswith(rest)
    assert largest_difference(tmp_path / "whole", tmp_path / "killed", "step_00000500") == 0
