"""What order, images, conversion and noise cost a run: `python benchmarks/input_cost.py [--data-dir DIR]`.

One CPU thread for the step, and one beside it that makes its input ahead. Blocks of steps with input and blocks with
the same batch again and again, in turns in one run; the ratio of the medians.
"""

import argparse
import statistics
import tempfile
import time

import torch

from gan_dist.config.resolve import parse
from gan_dist.training.trainer import Trainer

STEPS = 200  # in a block


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", default="data")
    parser.add_argument("--blocks", type=int, default=20)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(parse(["--data-dir", options.data_dir, "--run-dir", folder, "--tracker", "none"]))
        first = trainer.batches(1)
        seconds: dict[str, list[float]] = {"with": [], "without": []}
        for block in range(options.blocks):
            for kind, times in seconds.items():
                start = time.perf_counter()
                for step in range(block * STEPS, (block + 1) * STEPS):
                    trainer.state.step(trainer.batches(step + 1) if kind == "with" else first)
                times.append((time.perf_counter() - start) / STEPS)
    with_input, without = (statistics.median(times) * 1e6 for times in seconds.values())
    print(
        f"linear, batch 64, one thread: {with_input:.0f} us a step with its input, {without:.0f} us without: "
        f"{with_input / without - 1:.1%}"
    )


if __name__ == "__main__":
    main()
