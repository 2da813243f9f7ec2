"""Launched with several processes: what each of them gets when the first one meets an error."""

import torch

from gan_dist.distributed.processes import make_accelerator, run_first
from gan_dist.errors import UserError, exit_now


def fail() -> None:
    raise UserError("--seed -1: of process 0")


if __name__ == "__main__":
    accelerator = make_accelerator()
    try:
        run_first(accelerator, accelerator.is_main_process, fail)
    except UserError as error:
        words = f"process {accelerator.process_index}: {type(error).__name__}: {error}\n"
        print(words, end="", flush=True)  # in one piece, beside those of the others
    torch.distributed.barrier()
    exit_now(0)
