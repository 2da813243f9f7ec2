"""Launched with any number of processes: the figures of a generator with random weights. FILE, DATASET, DATA-DIR."""

import json
import sys
from pathlib import Path

import torch

from gan_dist.distributed.processes import make_accelerator
from gan_dist.errors import exit_now
from gan_dist.evaluation.drawn import Drawn
from gan_dist.evaluation.evaluator import Evaluator
from gan_dist.models import linear

if __name__ == "__main__":
    accelerator = make_accelerator()
    torch.manual_seed(0)
    evaluator = Evaluator(
        *sys.argv[2:],
        num=600,  # two chunks, and a part of one
        process_index=accelerator.process_index,
        num_processes=accelerator.num_processes,
    )
    figures = evaluator(Drawn(linear.Generator(latent_dim=20), 20, 0, None))
    assert (figures is None) != accelerator.is_main_process
    if figures:
        Path(sys.argv[1]).write_text(json.dumps(figures))
    exit_now(0)
