"""What a run trains on."""

import numpy as np
import torch
from torch import Tensor

from gan_dist.config.options import Config
from gan_dist.data.clusters import cluster
from gan_dist.data.dataset import Dataset, load
from gan_dist.errors import UserError
from gan_dist.training.progress import packing


def load_data(config: Config) -> tuple[Dataset, Tensor | None]:
    """The data set, and labels or clusters [num_images] if the networks take them. Raises UserError."""
    options, takes_classes = config.data, config.model.conditional and config.model.clusters is None
    data = load(
        options.dataset,
        options.data_dir,
        image_size=options.image_size,
        channels=options.channels,
        background=options.background,
        skip_damaged=options.skip_damaged,
        progress=packing(),
        with_labels=takes_classes,
    )
    if not config.model.conditional:
        return data, None
    if config.model.clusters is None:
        if data.labels is None:
            remedy = "take --clusters 10, say, in place of them, or --no-conditional --mismatch 0"
            raise UserError(f"--dataset {options.dataset}: has no labels, which --conditional needs; {remedy}")
        return data, torch.from_numpy(data.labels.astype(np.int64))
    if config.model.clusters > len(data.images):
        raise UserError(f"--clusters {config.model.clusters}: the data set has only {len(data.images)} images")
    return data, torch.from_numpy(cluster(data.images.squeeze(1), config.model.clusters, config.run.seed))
