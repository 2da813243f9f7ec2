"""What the steps of a run need: data, batches, and networks as they are before the first step."""

from typing import NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor

from gan_dist.config.options import Config
from gan_dist.data.batches import Batches
from gan_dist.data.dataset import Dataset
from gan_dist.distributed import numerics
from gan_dist.distributed.processes import run_first, run_first_long
from gan_dist.training.data import labels_of, load_data
from gan_dist.training.memory import keep_freed_memory
from gan_dist.training.state import TrainingState


class Built(NamedTuple):
    """Ready for step 1, or for what a checkpoint holds."""

    data: Dataset
    batches: Batches
    state: TrainingState
    total_steps: int
    frequencies: Tensor | None  # [num_classes] of classes in training, if the networks take labels


def build(config: Config, accelerator: Accelerator) -> Built:
    """All processes call it at once. What cannot be run raises UserError on all of them."""
    numerics.set_up(config.run.matmul_precision, config.run.deterministic)
    if accelerator.device.type == "cpu":
        keep_freed_memory()
    data = run_first_long(accelerator, accelerator.is_local_main_process, lambda: load_data(config))
    labels = labels_of(data, config)
    batches = run_first(
        accelerator, accelerator.is_main_process, lambda: make_batches(data.images, labels, config, accelerator)
    )
    total_steps = config.run.max_steps or config.run.epochs * batches.steps_per_epoch
    frequencies = None if labels is None else labels.bincount() / len(labels)
    state = TrainingState(config, accelerator, data.images.shape[1:], total_steps, frequencies)
    state.settle(batches.blank())
    return Built(data, batches, state, total_steps, frequencies)


def make_batches(images: NDArray[np.uint8], labels: Tensor | None, config: Config, accelerator: Accelerator) -> Batches:
    """Make the batches of a run. Raises UserError if the images fill no batch."""
    options = config.optimizer
    one_other = bool(options.mismatch) and not options.mismatch_all
    return Batches(
        images,
        accelerator,
        batch_size=config.run.batch_size,
        latent_dim=config.model.latent_dim,
        seed=config.run.seed,
        dtype=getattr(torch, config.run.dtype),
        accumulate=options.accumulate,
        on_device=config.data.data_placement == "device",
        labels=labels,
        draws=bool(config.data.augment) or one_other or options.objective == "wgan-gp",
        mirror=config.data.mirror,
    )
