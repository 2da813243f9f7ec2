"""Launched on a GPU: steps between two log steps, with torch told to raise where the host would wait for the device."""

import sys

import torch

from gan_dist.config.resolve import parse
from gan_dist.errors import exit_now
from gan_dist.tracking.meter import Meter
from gan_dist.training.trainer import Trainer

if __name__ == "__main__":
    trainer = Trainer(parse(sys.argv[1:]))
    state = trainer.state
    meter = Meter(state.generator, state.discriminator, trainer.accelerator, log_every=20, first_step=1)
    for step in range(20):
        if step == 5:  # libraries are loaded and memory is there
            torch.cuda.set_sync_debug_mode("error")
        result = state.train(step + 1, trainer.batches(step + 1))
        meter.update(result)
    try:
        torch.ones((), device=trainer.accelerator.device).item()
    except RuntimeError:
        print("it would have been told")
    torch.cuda.set_sync_debug_mode("default")
    meter.read(result)
    exit_now(0)
