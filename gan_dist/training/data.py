"""What a run trains on."""

from typing import TYPE_CHECKING

import numpy as np

from gan_dist.config.options import Config
from gan_dist.data.dataset import Dataset, load_dataset
from gan_dist.errors import UserError
from gan_dist.training.progress import packing

if TYPE_CHECKING:
    from torch import Tensor


def load_data(config: Config) -> Dataset:
    """The data set, with labels if the networks take them. Raises UserError."""
    options, takes_classes = config.data, config.model.conditional and config.model.clusters is None
    data = load_dataset(
        options.dataset,
        options.data_dir,
        image_size=options.image_size,
        channels=options.channels,
        background=options.background,
        skip_damaged=options.skip_damaged,
        progress=packing(),
        with_labels=takes_classes,
    )
    if takes_classes and data.labels is None:
        remedy = "take --recipe pictures, or --clusters 10, say, or --no-conditional --mismatch 0"
        raise UserError(f"--dataset {options.dataset}: has no labels, which --conditional needs; {remedy}")
    if (config.model.clusters or 0) > len(data.images):
        raise UserError(f"--clusters {config.model.clusters}: the data set has only {len(data.images)} images")
    return data


def labels_of(data: Dataset, config: Config) -> "Tensor | None":
    """Labels or clusters, int64 [num_images], if the networks take them."""
    import torch  # here, so that the check of options and data does not wait for it

    from gan_dist.data.clusters import cluster

    if not config.model.conditional:
        return None
    if config.model.clusters:
        return torch.from_numpy(cluster(data.images, config.model.clusters, config.run.seed))
    assert data.labels is not None
    return torch.from_numpy(data.labels.astype(np.int64))
