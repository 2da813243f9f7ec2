"""What processes send to each other."""

from collections import defaultdict

from torch import nn

from tests.conftest import together


def messages(*options: object, **environment: str) -> dict[str, list[tuple[str, int, int]]]:
    """The table of benchmarks/messages.py from two processes: {when: [(operation, numbers, times)]}."""
    text = together(2, "benchmarks/messages.py", *options, **environment)
    sent = defaultdict(list)
    for line in [line for line in text.splitlines() if line.startswith("|")][2:]:
        when, operation, numbers, times = line.strip("| ").split(" | ")
        sent[when].append((operation, int(numbers.replace(",", "")), int(times)))
    return sent


def count(*networks: nn.Module) -> int:
    """Numbers that training changes."""
    return sum(p.numel() for network in networks for p in network.parameters())
