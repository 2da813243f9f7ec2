"""The real images that generated ones are compared with, where no extractor knows them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_dist.data.dataset import load_dataset
from gan_dist.data.mnist import MissingError
from gan_dist.errors import UserError


def load_real(
    dataset: str, data_dir: str, shape: tuple[int, ...], background: str, split: str | None
) -> tuple[str, NDArray[np.uint8]]:
    """Real images in the shape (channels, height, width) of those to measure -> their split, and uint8 [N, *shape].

    split: None for "test", or "train" of a data set without test images. Pictures that cannot be read are left out.
    Raises UserError.
    """
    look: dict[str, Any] = {"image_size": shape[1], "channels": shape[0], "background": background}
    look |= {"skip_damaged": True, "with_labels": False}
    try:
        data, found = load_dataset(dataset, data_dir, split or "test", **look), split or "test"
    except MissingError:
        if split:
            raise
        data, found = load_dataset(dataset, data_dir, **look), "train"
    if data.images.shape[1:] != shape:
        raise UserError(f"--dataset {dataset}: its images become {data.images.shape[1:]}, and are to be like {shape}")
    return found, data.images
