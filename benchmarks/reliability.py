"""The figures of docs/reliability.md: `python benchmarks/reliability.py [--data-dir DIR]`.

How long a checkpoint holds training up beside a step, and how long a run takes to end after SIGTERM, on one CPU
thread.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from gan_dist.adversarial.step import Batch
from gan_dist.config.resolve import parse
from gan_dist.distributed.processes import make_accelerator
from gan_dist.storage.metrics_file import read_rows
from gan_dist.storage.saver import Saver
from gan_dist.training.last_good import LastGood
from gan_dist.training.state import TrainingState

ROOT = Path(__file__).resolve().parent.parent


def pause(name: str, options: list[str], trials: int) -> None:
    """Print the time of a step, and what a checkpoint and the copy at each log step take from training."""
    config = parse(options)
    training = TrainingState(config, make_accelerator(), (1, 28, 28), total_steps=trials)
    batch = Batch(torch.rand(64, 1, 28, 28), torch.randn(64, 100))
    steps, pauses, copies = [], [], []
    last_good = LastGood(training, torch.device("cpu"), is_main=True)
    last_good.keep(0)  # the first one makes room
    with tempfile.TemporaryDirectory() as folder:
        saver = Saver(Path(folder))
        for i in range(trials):
            start = time.perf_counter()
            training.step(batch)
            middle = time.perf_counter()
            saver.save(training.tensors(), {"step": i}, before=lambda: None)
            pauses.append(time.perf_counter() - middle)
            steps.append(middle - start)
            saver.wait()
            start = time.perf_counter()
            last_good.keep(i)
            copies.append(time.perf_counter() - start)
        assert saver.failure is None
    step, taken, copy = (statistics.median(each) * 1e3 for each in (steps, pauses, copies))
    num = sum(p.numel() for net in (training.generator, training.discriminator) for p in net.parameters())
    print(
        f"| {name} | {num / 1e6:.1f} million | {step:.1f} ms | {taken:.1f} ms | {taken / step:.2f} | {copy:.1f} ms |",
        flush=True,
    )


def seconds_to_exit(recipe: str, data_dir: str) -> float:
    """Seconds from SIGTERM in the middle of a run to the end of its process."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(ROOT / "gan_dist" / "train.py"), "--recipe", recipe, "--data-dir", data_dir]
        command += ["--run-dir", folder, "--log-every", "1"]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while len(read_rows(Path(folder, "metrics.jsonl"))) < 3:
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        start = time.perf_counter()
        assert process.wait() == 128 + signal.SIGTERM
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", default="data")
    parser.add_argument("--stops", type=int, default=5, help="runs of each recipe that get SIGTERM")
    parser.add_argument("--trials", type=int, default=200, help="checkpoints of linear")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| pair | weights | step | pause of a checkpoint | pause / step | copy at a log step |")
    print("|---|---|---|---|---|---|")
    linear = ["--recipe", "linear"]
    pause("linear", linear, options.trials)
    pause("conv", ["--recipe", "conv"], max(2, options.trials // 20))
    pause("linear, hidden 6,600", [*linear, "--model-args", "hidden=6600"], max(2, options.trials // 40))
    print(f"\n| recipe | SIGTERM to exit: median of {options.stops} | worst |\n|---|---|---|")
    for recipe in ("linear", "conv"):
        times = [seconds_to_exit(recipe, options.data_dir) for _ in range(options.stops)]
        print(f"| {recipe} | {statistics.median(times):.2f} s | {max(times):.2f} s |", flush=True)


if __name__ == "__main__":
    main()
