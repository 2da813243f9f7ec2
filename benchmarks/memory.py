"""Memory of a CPU run: `python benchmarks/memory.py [--data-dir DIR] [--batch-sizes 64 1024] [--steps 2000]`.

Resident memory of train.py's process without dashboards and evaluation, in MB: before the first step, at its peak in
the first tenth of the steps and at its peak in all of them, which is the same if it does not grow; with freed memory
kept by glibc, as train.py has it, and without.
"""

import argparse
import multiprocessing
import resource
from multiprocessing.connection import Connection

import psutil

from benchmarks.steps import Steps
from benchmarks.world_size import digits
from gan_dist.training import build


def peak() -> float:
    """Of this process so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(args: list[object], num: int, keep: bool, pipe: Connection) -> None:
    """In a process of its own: the three figures."""
    if not keep:
        build.keep_freed_memory = lambda: None
    steps = Steps(*args)
    before = psutil.Process().memory_info().rss / 1024**2
    steps.run(max(1, num // 10))
    early = peak()
    steps.run(num - num // 10)
    pipe.send((before, early, peak()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", default="data")
    parser.add_argument("--recipes", nargs="+", default=["linear", "mnist", "conv"])
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=[64, 1024])
    parser.add_argument("--steps", type=int, default=2000)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    print("| recipe | batch | freed memory | before the first step | peak, first tenth | peak |")
    print("|---" * 6 + "|")
    for recipe in options.recipes:
        for batch_size in options.batch_sizes:
            for keep in (True, False):
                args = [*digits(options.data_dir), "--recipe", recipe, "--batch-size", batch_size]
                ours, theirs = multiprocessing.Pipe()
                process = context.Process(target=measure, args=(args, options.steps, keep, theirs))
                process.start()
                process.join()
                cells = [f"{number:,.0f}" for number in ours.recv()] if process.exitcode == 0 else ["failed"] * 3
                kind = "kept" if keep else "given back"
                print(f"| {recipe} | {batch_size} | {kind} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
