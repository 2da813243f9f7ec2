"""What order, images, conversion and noise cost beside a step: `python benchmarks/input_cost.py [--data-dir DIR]`.

One CPU thread; both are timed in turns in one run, and their sums compared.
"""

import argparse
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
            trainer.networks.step(*batch)
            inputs.append(middle - start)
            steps.append(time.perf_counter() - middle)
    share = sum(inputs) / sum(steps)
    print(
        f"linear, batch 64, one thread: input {sum(inputs) / options.steps * 1e6:.0f} us a step, "
        f"the step itself {sum(steps) / options.steps * 1e6:.0f} us: {share:.1%}"
    )


if __name__ == "__main__":
    main()
