"""The network between two machines fails in the middle of a step."""

import subprocess
import time
from pathlib import Path

import pytest

from benchmarks.world_size import largest_difference, launch_line, train
from tests.harness.machines import two_machines
from tests.harness.runs import last_step, start_command, wait_until

STEPS = 400


@pytest.mark.slow
def test_link_that_goes_down(data_args: list[str], tmp_path: Path) -> None:
    """Both sides end within a bounded time; started again, they give the result of a run that nothing happened to."""
    args = [*data_args, "--batch-size", 16, "--dtype", "float64", "--max-steps", STEPS, "--log-every", 1]
    args += ["--checkpoint-every", 20, "--timeout-minutes", 0.2]
    alone, run = train(1, tmp_path / "alone", *args), tmp_path / "run"

    def launch(names: list[str]) -> "list[subprocess.Popen[str]]":
        started = []
        for rank, name in enumerate(names):
            address = ["--machine_rank", rank, "--main_process_ip", "10.77.0.1"]
            line = launch_line("machines_2", address, "gan_dist/train.py", *args, "--run-dir", run)
            started.append(start_command(["ip", "netns", "exec", name, *line]))
        return started

    with two_machines() as names:
        machines = launch(names)
        wait_until(lambda: last_step(run) > 50, machines[0])
        subprocess.run(["ip", "-n", names[0], "link", "set", "cable", "down"], check=True)
        start = time.monotonic()
        for machine in machines:
            machine.communicate(timeout=120)
            assert machine.returncode != 0
        print(f"both have ended after {time.monotonic() - start:.0f} s, the last row is of step {last_step(run)}")
        assert last_step(run) < STEPS
        subprocess.run(["ip", "-n", names[0], "link", "set", "cable", "up"], check=True)
        for machine in launch(names):
            words, _ = machine.communicate(timeout=120)
            assert machine.returncode == 0, words
    assert largest_difference(alone, run) < 1e-10
