"""Launched with any number of processes: steps of a twentieth of a second, and a signal to the last process.

Prints how many steps were begun after the signal, how many seconds they took to end, and whether the main process
could take longer to close than a silent process is waited for.
"""

import itertools
import os
import signal
import time

import torch

from gan_dist.distributed.processes import make_accelerator
from gan_dist.errors import exit_now
from gan_dist.training.stop import StopRequest

FIRST = 100_000  # a resumed run
TIMEOUT = 0.05  # minutes


def step(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda._sleep(50_000_000)  # clock cycles of the GPU, which the host does not wait for
    else:
        time.sleep(0.05)


def main() -> None:
    accelerator = make_accelerator(timeout_minutes=TIMEOUT)
    with StopRequest(TIMEOUT, accelerator.device) as stop:
        for number in itertools.count(FIRST):
            step(accelerator.device)
            if number == FIRST + 20:
                since = time.monotonic()
                if accelerator.is_last_process:
                    os.kill(os.getpid(), signal.SIGTERM)
            if stop.agreed(number):
                break
        if accelerator.device.type == "cuda":
            torch.cuda.synchronize()
        seconds = time.monotonic() - since
        with stop.ending(accelerator.is_main_process):
            if accelerator.is_main_process:
                time.sleep(2 * 60 * TIMEOUT)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        print(f"{number - FIRST - 20} steps, {seconds:.1f} s, closed")
    exit_now(0)


if __name__ == "__main__":
    main()
