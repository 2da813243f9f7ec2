"""Launched on a GPU: steps between two log steps, with torch told to raise where the host would wait for the device."""

import sys

import torch

from gan_dist.config import parse
from gan_dist.metrics import Meter
from gan_dist.trainer import Trainer

if __name__ == "__main__":
    trainer = Trainer(parse(sys.argv[1:]))
    meter = Meter(trainer.accelerator, 20, 1, trainer.batches.dtype)
    for step in range(20):
        if step == 5:  # libraries are loaded and memory is there
            torch.cuda.set_sync_debug_mode("error")
        result = trainer.networks.step(trainer.batches(step + 1))
        meter.update(result)
    try:
        torch.ones((), device=trainer.accelerator.device).item()
    except RuntimeError:
        print("it would have been told")
    torch.cuda.set_sync_debug_mode("default")
    meter.read(result, trainer.networks)
    trainer.accelerator.end_training()
