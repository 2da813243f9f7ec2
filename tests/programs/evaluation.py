"""Launched with any number of processes: prints the figures of an untrained generator. FOLDER of the data."""

import json
import sys

import torch

from gan_dist import models
from gan_dist.distributed.processes import make_accelerator
from gan_dist.errors import exit_now
from gan_dist.evaluation.drawn import Drawn
from gan_dist.evaluation.evaluator import Evaluator

if __name__ == "__main__":
    accelerator = make_accelerator()
    torch.manual_seed(0)
    generator = models.load("dcgan").Generator(num_classes=10)
    drawn = Drawn(generator, generator.latent_dim, 0, torch.full((10,), 0.1))
    evaluator = Evaluator(
        "mnist",
        sys.argv[1],
        num=900,
        process_index=accelerator.process_index,
        num_processes=accelerator.num_processes,
    )
    report = evaluator(drawn, drawn.labels(range(900)))
    if report:
        print(json.dumps(report))
    accelerator.wait_for_everyone()
    exit_now(0)
