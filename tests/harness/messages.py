"""What processes send to each other."""

import os
import subprocess
from collections import defaultdict
from collections.abc import Sequence

from torch import nn

from benchmarks.world_size import launch_line
from tests.conftest import ROOT


def messages(*options: object, launcher: Sequence[object] = ()) -> dict[str, list[tuple[str, int, int]]]:
    """The table of benchmarks/messages.py from two processes: {when: [(operation, numbers, times)]}."""
    command = launch_line("cpu_2", launcher, "benchmarks/messages.py", *options)
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    sent = defaultdict(list)
    for line in [line for line in done.stdout.splitlines() if line.startswith("|")][2:]:
        when, operation, numbers, times = line.strip("| ").split(" | ")
        sent[when].append((operation, int(numbers.replace(",", "")), int(times)))
    return sent


def count(*networks: nn.Module) -> int:
    """Numbers that training changes."""
    return sum(p.numel() for network in networks for p in network.parameters())
