"""Does a run depend on the number of processes? Prints the largest difference of any weight.

python benchmarks/world_size.py [--data-dir DIR]: the table of docs/design.md
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import load_file

from gan_dist.data.mnist import load_images
from gan_dist.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
WORLDS = (1, 2, 3, 5, 7)


def launch_line(config: str, options: Sequence[object], script: str, *args: object) -> list[str]:
    """The command line that a person would type with one of accelerate_configs/; `options` are the launcher's."""
    accelerate, file = Path(sys.executable).with_name("accelerate"), ROOT / "accelerate_configs" / f"{config}.yaml"
    return [str(word) for word in [accelerate, "launch", "--config_file", file, *options, ROOT / script, *args]]


def launch_command(num_processes: int, script: str, *args: object) -> list[str]:
    """The same for any number of CPU processes."""
    config = "cpu_1" if num_processes == 1 else "cpu_2"
    return launch_line(config, ["--num_processes", num_processes], script, *args)


def digits(data_dir: str) -> list[str]:
    """Options of train.py for MNIST in `data_dir`, or for mnist-5k if it is not to be had."""
    try:
        load_images("mnist", data_dir)
        return ["--data-dir", data_dir]
    except UserError:
        return ["--dataset", "mnist-5k"]


def train(num_processes: int, folder: Path, *options: object) -> Path:
    """Train in `num_processes` CPU processes with one thread each -> the run folder."""
    script, args = "gan_dist/train.py", ["--run-dir", folder, *options]
    if num_processes == 1:  # without a launcher, which takes two seconds to import torch
        command = [str(word) for word in (sys.executable, ROOT / script, *args)]
    else:
        command = launch_command(num_processes, script, *args)
    env = os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{done.args}\n{done.stdout}\n{done.stderr}")
    return folder


def largest_difference(run: Path, other: Path) -> float:
    """The largest difference between any two weights or buffers of the runs' two networks."""
    largest = 0.0
    for network in ("generator", "discriminator"):
        a, b = (load_file(folder / network / "model.safetensors") for folder in (run, other))
        assert a.keys() == b.keys()
        largest = max([largest, *(float((a[name].double() - b[name].double()).abs().max()) for name in a)])
    return largest


def losses(run: Path) -> list[float]:
    """loss_d and loss_g of all rows."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [row[name] for row in rows if "loss_d" in row for name in ("loss_d", "loss_g")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", default="data")
    options = ["--max-steps", 20, "--log-every", 1, "--eval-every", 0, "--data-dir", parser.parse_args().data_dir]
    print("| recipe | type | processes | largest weight difference | largest loss difference, first 5 steps |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for recipe, dtype in itertools.product(("linear", "conv"), ("float64", "float32")):
            runs = {
                n: train(n, Path(folder, recipe, dtype, str(n)), "--recipe", recipe, "--dtype", dtype, *options)
                for n in WORLDS
            }
            for n in WORLDS[1:]:
                apart = max(abs(a - b) for a, b in zip(losses(runs[1])[:10], losses(runs[n])[:10], strict=True))
                weights = largest_difference(runs[1], runs[n])
                print(f"| {recipe} | {dtype} | 1 and {n} | {weights:.1e} | {apart:.1e} |", flush=True)


if __name__ == "__main__":
    main()
