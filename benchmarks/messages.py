"""What the processes of a job send to each other: each message of a step, of a row of metrics and of an ask to stop.

accelerate launch --config_file accelerate_configs/cpu_2.yaml [--num_processes N] benchmarks/messages.py
[train.py's options]: a table of docs/scaling.md. It counts what gloo did, as torch's profiler saw it.
"""

import math
import sys
from collections import Counter
from collections.abc import Callable

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.steps import Steps
from gan_dist.training.stop import StopRequest


def messages(action: Callable[[], object]) -> Counter[tuple[str, int]]:
    """How often it sends: {(operation, numbers in a message): times}."""
    with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as seen:
        action()
        torch.distributed.barrier()  # what DDP sends in the background has arrived
    sent = [event for event in seen.events() or [] if event.name.startswith("gloo:")]
    found = Counter((event.name.removeprefix("gloo:"), sum(map(math.prod, event.input_shapes))) for event in sent)
    found.pop(("barrier", 0), None)
    return found


def main() -> None:
    steps = Steps(*sys.argv[1:])
    trainer, state = steps.trainer, steps.trainer.state
    result = state.train(1, trainer.batches(1))
    steps.meter.update(result)
    batch = trainer.batches(2)
    with StopRequest(1, trainer.accelerator.device) as stop:
        stop.agreed(1)
        seen = {
            "a step": messages(lambda: state.train(2, batch)),
            "a row of metrics": messages(lambda: steps.meter.read(result)),
            "whether to stop": messages(lambda: stop.agreed(2)),
        }
    if trainer.is_main:
        print("| when | operation | numbers | messages |\n|---|---|---|---|")
        for when, found in seen.items():
            for (operation, numbers), times in found.items():
                print(f"| {when} | {operation} | {numbers:,} | {times} |")


if __name__ == "__main__":
    main()
