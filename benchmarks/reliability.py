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
from gan_dist.training.state import TrainingState

ROOT = Path(__file__).resolve().parent.parent


def pause(name: str, options: list[str], trials: int) -> None:
    """Print the time of a step and the time that a checkpoint takes from training."""
    config = parse(options)
    training = TrainingState(config, make_accelerator(), (1, 28, 28), total_steps=trials)
    batch = Batch(torch.rand(64, 1, 28, 28), torch.randn(64, 100))
    steps, pauses = [], []
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
        assert saver.failure is None
    step, taken = statistics.median(steps) * 1e3, statistics.median(pauses) * 1e3
    num = sum(p.numel() for net in (training.generator, training.discriminator) for p in net.parameters())
    print(f"| {name} | {num / 1e6:.1f} million | {step:.1f} ms | {taken:.1f} ms | {taken / step:.2f} |", flush=True)


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
    data_dir = parser.parse_args().data_dir
    torch.set_num_threads(1)
    print("| pair | weights | step | pause of a checkpoint | pause / step |\n|---|---|---|---|---|")
    pause("linear", [], 200)
    pause("conv", ["--recipe", "conv"], 10)
    pause("linear, hidden 6,600", ["--model-args", "hidden=6600"], 5)
    print("\n| recipe | SIGTERM to exit: median of 5 | worst |\n|---|---|---|")
    for recipe in ("linear", "conv"):
        times = [seconds_to_exit(recipe, data_dir) for _ in range(5)]
        print(f"| {recipe} | {statistics.median(times):.2f} s | {max(times):.2f} s |", flush=True)


if __name__ == "__main__":
    main()
