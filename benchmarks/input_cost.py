"""What order, images, conversion and noise cost beside a step: `python benchmarks/input_cost.py [--data-dir DIR]`.

One CPU thread; both are timed in turns in one run, and the medians compared.
"""

import argparse
import statistics
import tempfile
import time

import torch

from gan_dist.config import parse
from gan_dist.trainer import Trainer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", default="data")
    parser.add_argument("--steps", type=int, default=1000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(parse(["--data-dir", options.data_dir, "--run-dir", folder]))
        inputs, steps = [], []
        for i in range(options.steps):
            start = time.perf_counter()
            batch = trainer.batches(i)
            middle = time.perf_counter()
            trainer.step(*batch)
            inputs.append(middle - start)
            steps.append(time.perf_counter() - middle)
    share = statistics.median(inputs) / statistics.median(steps)
    print(
        f"linear, batch 64, one thread: input {statistics.median(inputs) * 1e6:.0f} us, "
        f"step {statistics.median(steps) * 1e6:.0f} us: {share:.1%}"
    )


if __name__ == "__main__":
    main()
