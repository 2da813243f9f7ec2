"""Launched with several processes: what one step sends. Takes train.py's options, prints counts as json."""

import json
import sys
from collections import Counter
from typing import Any

import torch
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook

from gan_dist.config.resolve import parse
from gan_dist.errors import exit_now
from gan_dist.training.trainer import Trainer


def main() -> None:
    trainer = Trainer(parse(sys.argv[1:]))
    sent: Counter[str] = Counter()
    phase = ["d"]

    def count(network: str) -> Any:
        def hook(state, bucket):  # type: ignore[no-untyped-def]  # DDP refuses other annotations
            sent[f"{network} in {phase[0]} update"] += bucket.buffer().numel()
            return allreduce_hook(state, bucket)

        return hook

    trainer.state.step.generator.register_comm_hook(None, count("G"))  # type: ignore[operator]
    trainer.state.step.discriminator.register_comm_hook(None, count("D"))  # type: ignore[operator]
    trainer.state.optimizers["d"].optimizer.register_step_post_hook(lambda *_: phase.__setitem__(0, "g"))
    trainer.state.optimizers["g"].optimizer.register_step_post_hook(lambda *_: phase.__setitem__(0, "d"))
    steps = 3
    for step in range(steps):
        trainer.state.step(trainer.batches(step + 1))
    numbers = {name: num / steps for name, num in sent.items()}
    numbers |= {
        "G": sum(p.numel() for p in trainer.state.generator.parameters()),
        "D": sum(p.numel() for p in trainer.state.discriminator.parameters()),
    }
    if trainer.is_main:
        print(json.dumps(numbers))
    torch.distributed.barrier()
    exit_now(0)


if __name__ == "__main__":
    main()
