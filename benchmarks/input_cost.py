"""What everything beside the networks costs a run: `python benchmarks/input_cost.py [--data-dir DIR]`.

Order, images, conversion, noise, labels, the means of losses, a row of metrics every 50 steps. Blocks of steps with all
of it and blocks of bare steps with the same batch again and again, in turns in one run; the ratio of the medians.
OMP_NUM_THREADS is for the step; a thread beside it makes its input ahead.
"""

import argparse
import statistics

import torch

from benchmarks.steps import Steps
from benchmarks.world_size import digits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", default="data")
    parser.add_argument("--recipes", nargs="+", default=["linear", "mnist", "conv"])
    parser.add_argument("--seconds", type=float, default=2, help="length of a block, about [%(default)s]")
    parser.add_argument("--blocks", type=int, default=15)
    options = parser.parse_args()
    print("| recipe | ms a step | without input and metrics | cost |")
    print("|---|---|---|---|")
    for recipe in options.recipes:
        steps = Steps(*digits(options.data_dir), "--recipe", recipe)
        first = steps.trainer.batches(1)
        num = max(1, round(options.seconds / (steps.run_bare(10, first) / 10)))
        times = [(steps.run(num) / num, steps.run_bare(num, first) / num) for _ in range(options.blocks)]
        whole, bare = (statistics.median(kind) * 1e3 for kind in zip(*times, strict=True))
        print(f"| {recipe} | {whole:.2f} | {bare:.2f} | {whole / bare - 1:.1%} |", flush=True)
    print(f"\n{torch.get_num_threads()} threads, batch 64, {options.blocks} blocks of each kind")


if __name__ == "__main__":
    main()
