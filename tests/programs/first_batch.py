"""Launched with any number of processes: each writes its rows of the first batch. FOLDER, then train.py's options."""

import sys
from pathlib import Path

import numpy as np

from gan_dist.config.resolve import parse
from gan_dist.data.order import image_indices
from gan_dist.distributed.processes import make_accelerator
from gan_dist.errors import exit_now
from gan_dist.training.build import make_batches
from gan_dist.training.data import labels_of, load_data

if __name__ == "__main__":
    config = parse(sys.argv[2:])
    accelerator = make_accelerator()
    data = load_data(config)
    batches = make_batches(data.images, labels_of(data, config), config, accelerator)
    real, noise, (labels,), uniform, _ = batches(1)
    assert uniform is not None
    indices = np.concatenate(
        [image_indices(config.run.seed, 1, config.run.batch_size, part, len(batches.images)) for part in batches.parts]
    )
    name = f"{accelerator.num_processes}_{accelerator.process_index}.npz"
    np.savez(
        Path(sys.argv[1], name),
        indices=indices,
        real=real.numpy(),
        noise=noise.numpy(),
        labels=labels.numpy(),
        uniform=uniform.numpy(),
    )
    exit_now(0)
