"""train.py in fp16 on the CPU, which Accelerate does not offer: autocast and scalers are put in by hand."""

import sys
from typing import Any

import torch
from torch.amp import GradScaler

from gan_dist.config.resolve import parse
from gan_dist.training import build, trainer
from gan_dist.training.state import TrainingState
from tests.processes.test_precision import autocast_fp16


class Fp16State(TrainingState):
    """Scales that are so large that the first steps overflow, and that then grow every few steps."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for optimizer, scale, interval in ((self.optimizers["d"], 2.0**30, 7), (self.optimizers["g"], 2.0**26, 5)):
            autocast_fp16(optimizer.network)
            optimizer.scaler = GradScaler("cpu", scale, growth_interval=interval)


if __name__ == "__main__":
    torch.set_num_threads(1)
    build.TrainingState = Fp16State  # type: ignore[misc]
    sys.exit(trainer.Trainer(parse(sys.argv[1:])).run())
