"""Launched by benchmarks/gpu.py: times the steps of one job, input included; a json line for each cell of the table.

SECONDS RECIPE:BATCH_SIZE ... -- [options of train.py]. After SECONDS no cell is begun.
"""

import gc
import json
import sys
import tempfile
import time

import torch
from accelerate import PartialState
from accelerate.utils import broadcast

from gan_dist.config.resolve import parse
from gan_dist.distributed import numerics
from gan_dist.errors import exit_now
from gan_dist.training.trainer import Trainer

WARM_UP = 5  # steps
CELL_SECONDS = 1.0


def timed(trainer: Trainer, first_step: int, num: int) -> float:
    """Seconds that `num` steps take on the slowest process, until its device is through with them."""
    start = time.perf_counter()
    for step in range(first_step, first_step + num):
        trainer.state.step(trainer.batches(step))
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    taken = torch.tensor([time.perf_counter() - start], device=trainer.accelerator.device)
    return float(trainer.accelerator.gather(taken).max())


def measure(trainer: Trainer) -> dict[str, float]:
    """Milliseconds of a step, over about a second, and the most memory held in GB; {} if it is not enough."""
    try:
        timed(trainer, 1, WARM_UP)
        num = max(WARM_UP, round(CELL_SECONDS * WARM_UP / timed(trainer, 1 + WARM_UP, WARM_UP)))
        milliseconds = timed(trainer, 1 + 2 * WARM_UP, num) / num * 1e3
    except torch.OutOfMemoryError:
        return {}
    return {"ms": milliseconds, "peak_memory_gb": numerics.readings(trainer.accelerator.device)["peak_memory_gb"]}


def main() -> None:
    end = time.monotonic() + float(sys.argv[1])
    split = sys.argv.index("--")
    for cell in sys.argv[2:split]:
        recipe, batch_size = cell.split(":")
        options = ["--recipe", recipe, "--batch-size", batch_size, "--tracker", "none", *sys.argv[split + 1 :]]
        with tempfile.TemporaryDirectory() as folder:
            trainer = Trainer(parse([*options, "--run-dir", folder]))
            numbers = measure(trainer)
        if trainer.is_main:
            print(json.dumps(numbers), flush=True)
        is_late = torch.tensor(float(time.monotonic() > end), device=trainer.accelerator.device)
        if broadcast(is_late):
            break
        del trainer
        gc.collect()  # networks are in cycles
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
    PartialState().wait_for_everyone()
    exit_now(0)


if __name__ == "__main__":
    main()
