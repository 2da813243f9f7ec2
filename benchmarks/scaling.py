"""How much faster several processes are than one: `python benchmarks/scaling.py [--recipes linear conv] [train.py's
options]`: a table of docs/scaling.md.

A CPU thread each, on one machine. `strong`: the same batch, shared between them: how many times the steps of one
process in a second. `weak`: a batch of that size for each: how many times the images. Jobs run in turns, several times;
medians.
"""

import argparse
import os
import subprocess
import sys
from statistics import median

from benchmarks.steps import Steps
from benchmarks.world_size import ROOT, launch_command

ROUNDS = 3


def work(options: list[str]) -> None:
    """What each process of a job does: prints the milliseconds of a step."""
    steps = Steps(*options)
    steps.run(5)
    seconds = median(steps.run(5) / 5 for _ in range(15))
    if steps.trainer.is_main:
        print(f"milliseconds: {seconds * 1e3}", flush=True)
    steps.trainer.accelerator.wait_for_everyone()


def measure(processes: int, *options: object) -> float:
    """Milliseconds of a step in a job of its own."""
    command = launch_command(processes, "benchmarks/scaling.py", "--work", *options)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    return milliseconds(done.stdout, done.stderr)


def milliseconds(output: str, errors: str) -> float:
    """What a job with `--work` has printed. Exits with its errors if it printed nothing."""
    lines = [line for line in output.splitlines() if line.startswith("milliseconds: ")]
    if not lines:
        sys.exit(errors)
    return float(lines[0].removeprefix("milliseconds: "))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipes", nargs="+", default=["linear", "mnist", "conv"])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options, more = parser.parse_known_args()
    print(f"| recipe | ms in one process | in {options.processes}, strong | weak | strong | weak |")
    print("|---|---|---|---|---|---|")
    for recipe in options.recipes:
        batch, args = options.batch_size, ["--recipe", recipe, *more]
        jobs = [(1, batch), (options.processes, batch), (options.processes, batch * options.processes)]
        rounds = [[measure(n, *args, "--batch-size", size) for n, size in jobs] for _ in range(options.rounds)]
        one, strong, weak = (median(times) for times in zip(*rounds, strict=True))
        gains = median(r[0] / r[1] for r in rounds), median(options.processes * r[0] / r[2] for r in rounds)
        print(f"| {recipe} | {one:.1f} | {strong:.1f} | {weak:.1f} | {gains[0]:.2f} | {gains[1]:.2f} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(sys.argv[2:])
    else:
        main()
