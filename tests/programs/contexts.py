"""Launched on two GPUs: which of them each process has opened after a batch, a line for each process."""

import sys

import torch

from gan_dist.config.resolve import parse
from gan_dist.errors import exit_now
from gan_dist.training.trainer import Trainer

if __name__ == "__main__":
    trainer = Trainer(parse(sys.argv[1:]))
    trainer.state.train(1, trainer.batches(1))
    torch.cuda.synchronize()
    opened = [index for index in range(2) if torch._C._cuda_hasPrimaryContext(index)]  # type: ignore[attr-defined]
    print(f"process {trainer.accelerator.process_index} has opened {opened}", flush=True)
    torch.distributed.barrier()
    exit_now(0)
