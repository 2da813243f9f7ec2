"""The table of `benchmarks/gpu.sh`: variant x recipe x batch size x number of processes."""

import argparse
import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import torch

from benchmarks.world_size import ROOT, digits, launch_command, launch_line
from gan_dist.errors import UserError, exit_code

VARIANTS = {
    "fp32": [],
    "bf16": ["--mixed-precision", "bf16"],
    "fp16": ["--mixed-precision", "fp16"],
    "TF32": ["--matmul-precision", "high"],
    "fp32, deterministic": ["--deterministic"],
    "fp32, images on the device": ["--data-placement", "device"],
}
HEADER = """\
| recipe | batch | variant | processes | ms a step | images/s | speed, of fp32 in one process | peak memory, GB |
|---|---|---|---|---|---|---|---|
"""
Numbers = dict[str, float]  # "ms" and "peak_memory_gb"; empty if the memory was not enough


def parse_options() -> argparse.Namespace:
    num_gpus = torch.cuda.device_count()
    counts = [n for n in (1, 2, 4, 8) if n < num_gpus] + [max(1, num_gpus)]
    parser = argparse.ArgumentParser(prog="benchmarks/gpu.sh", description=__doc__)
    parser.add_argument("--data-dir", default="data", help="without MNIST there, mnist-5k is taken")
    parser.add_argument("--recipes", nargs="+", default=["linear", "conv"])
    parser.add_argument("--batch-sizes", nargs="+", type=int, default=[64, 512, 4096], help="over all processes")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS)
    parser.add_argument("--processes", nargs="+", type=int, default=counts)
    parser.add_argument("--minutes", type=float, default=9.0, help="what has not begun by then is left out")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "gpu.md")
    parser.add_argument("--cpu", action="store_true", help="the CPU instead, to see that this works")
    options = parser.parse_args()
    if not options.cpu and max(options.processes) > num_gpus:
        remedy = "take fewer" if num_gpus else "./launch.sh says why; or add --cpu"
        raise UserError(f"--processes {max(options.processes)}: torch sees {num_gpus} GPUs; {remedy}")
    return options


def measure(num_processes: int, cells: list[str], seconds: float, cpu: bool, options: list[str]) -> list[Numbers]:
    """One job over `cells` -> what it measured of each, but for the last ones if `seconds` were over or it failed."""
    job = ["benchmarks/gpu_job.py", str(seconds), *cells, "--", *options]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    if cpu:
        environment["CUDA_VISIBLE_DEVICES"] = ""
        command = launch_command(num_processes, *job)
    else:
        config = "gpu_1" if num_processes == 1 else "gpu_all"
        command = launch_line(config, ["--num_processes", num_processes], *job)
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def row(key: tuple[str, str, int], found: dict[tuple[str, str, int], Numbers]) -> str:
    cell, variant, num_processes = key
    recipe, batch_size = cell.split(":")
    numbers, base = found.get(key), found.get((cell, "fp32", 1))
    if not numbers:
        shown = ["not measured" if numbers is None else "out of memory", "", "", ""]
    else:
        ratio = f"{base['ms'] / numbers['ms']:.2f}" if base else ""
        speed = f"{int(batch_size) / numbers['ms'] * 1e3:.0f}"
        shown = [f"{numbers['ms']:.2f}", speed, ratio, f"{numbers['peak_memory_gb']:.2f}"]
    return f"| {' | '.join([recipe, batch_size, variant, str(num_processes), *shown])} |\n"


def main() -> int:
    options = parse_options()
    deadline = time.monotonic() + 60 * options.minutes
    data = digits(options.data_dir)
    cells = [f"{recipe}:{size}" for recipe in options.recipes for size in options.batch_sizes]
    found: dict[tuple[str, str, int], Numbers] = {}
    # One process and all of them first: if time is up, the numbers between them are left out.
    for num_processes in sorted(options.processes, key=lambda n: (n not in (1, max(options.processes)), n)):
        for variant in options.variants:
            left = deadline - time.monotonic()
            if left > 0:
                print(f"{variant}, {num_processes} processes", file=sys.stderr, flush=True)
                measured = measure(num_processes, cells, left, options.cpu, [*data, *VARIANTS[variant]])
                keys = [(cell, variant, num_processes) for cell in cells]
                found |= dict(zip(keys, measured, strict=False))
    where = "the CPU" if options.cpu else f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    text = f"{where}, torch {torch.__version__}, `benchmarks/gpu.sh {' '.join(sys.argv[1:])}`\n\n{HEADER}"
    text += "".join(row(key, found) for key in itertools.product(cells, options.variants, sorted(options.processes)))
    print(text)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(exit_code(main))
