"""The one way to data: the name of a data set, or the path of one's own pictures -> arrays."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gan_dist.data import arrays, cifar10, folder, parquet
from gan_dist.data.decode import Look, Progress
from gan_dist.data.mnist import MissingError, load_images, load_labels
from gan_dist.data.pack import check_size, packed
from gan_dist.data.pictures import Source, colour
from gan_dist.data.sources import SOURCES
from gan_dist.errors import UserError

NAMES = (*SOURCES, "cifar10")
FILES = (".npy", ".npz", ".parquet")
BACKGROUND = "white"
BLOCK = 1024  # images


class Dataset(NamedTuple):
    """name: no path, of one's own pictures the last part of it; images: [N, C, H, W], 0 is black, memory-mapped and
    read-only; labels: places in class_names [N], None without.
    """

    name: str
    images: NDArray[np.uint8]
    labels: NDArray[np.uint8] | NDArray[np.int64] | None
    class_names: tuple[str, ...]


def load_dataset(
    dataset: str,
    data_dir: str,
    split: str = "train",
    *,
    image_size: int | None = None,
    channels: int | None = None,
    background: str = BACKGROUND,
    skip_damaged: bool = False,
    progress: Progress | None = None,
    with_labels: bool = True,
) -> Dataset:
    """Load a data set: a name in NAMES, whose files are in `data_dir`, or the path of one's own pictures.

    split: "train" or "test". image_size: height and width, None for those of the data (of a folder: 32). channels: 1
    or 3, None for 1 if all images are grey. background: of transparent pictures. skip_damaged: leave out pictures that
    cannot be read. progress: called with the number of pictures done and of all, while they are packed. with_labels:
    False where labels of a known data set are not needed, and may be missing.

    Raises UserError, and MissingError for what is not there and cannot be downloaded.
    """
    check(dataset, image_size, background)
    look = Look(image_size, channels, colour(background))
    name = name_of(dataset)
    if dataset in SOURCES:
        images = _of_mnist_family(dataset, data_dir, split, look, progress)
        labels = load_labels(dataset, data_dir, split) if with_labels else None
        return Dataset(name, images, labels, SOURCES[dataset].class_names if with_labels else ())
    if dataset == "cifar10":
        return Dataset(name, *packed(cifar10.source(data_dir, split), look, dataset, False, progress))
    path = Path(dataset)
    if parquet.is_here(path):
        return Dataset(name, *packed(parquet.source(path, split), look, dataset, skip_damaged, progress))
    if split != "train":
        raise MissingError(f"--dataset {dataset}: has no {split} images")
    if path.suffix.lower() == ".npy" and (mapped := _mapped(path, look)) is not None:
        return Dataset(name, mapped, None, ())
    source = folder.source(path) if path.is_dir() else arrays.source(path)
    return Dataset(name, *packed(source, look, dataset, skip_damaged, progress))


def _of_mnist_family(
    dataset: str, data_dir: str, split: str, look: Look, progress: Progress | None
) -> NDArray[np.uint8]:
    images = load_images(dataset, data_dir, split)
    if look.channels != 3 and look.size in (None, *images.shape[1:2]):
        return images[:, None]
    return packed(
        Source(f"{dataset} {split}", lambda: arrays.pictures_of(images)), look, dataset, False, progress
    ).images


def _mapped(file: Path, look: Look) -> NDArray[np.uint8] | None:
    """The images of a .npy as they are in the file [N, 1, H, W], if they are to look like that."""
    images = arrays.images_of(file)
    if images.shape[3:] == (1,):
        images = images[..., 0]
    as_asked = look.channels != 3 and look.size in (None, *images.shape[1:2])
    if images.ndim == 4 or images.shape[1] != images.shape[2] or not as_asked:
        return None
    check_size(images.shape[1], str(file))
    return images[:, None]


def fingerprint(data: Dataset) -> dict[str, Any]:
    """What tells a data set from any other, wherever it lies: shape and SHA-256 of images, labels and class names."""
    digest = hashlib.sha256()
    for start in range(0, len(data.images), BLOCK):
        digest.update(np.ascontiguousarray(data.images[start : start + BLOCK]).data)
    shape, labels = list(data.images.shape), None if data.labels is None else data.labels.tolist()
    digest.update(json.dumps([shape, labels, data.class_names]).encode())
    return {"name": data.name, "shape": shape, "sha256": digest.hexdigest()}


def name_of(dataset: str) -> str:
    """The name of a data set, which is no path of this machine."""
    return dataset if dataset in NAMES else os.path.basename(os.path.abspath(dataset))


def check(dataset: str, image_size: int | None = None, background: str = BACKGROUND) -> None:
    """Raise UserError for what cannot be loaded, as far as options tell."""
    if image_size is not None and image_size % 4:
        raise UserError(f"--image-size {image_size}: must be a multiple of 4")
    try:
        colour(background)
    except ValueError:
        remedy = "must be a colour such as white, black or #ff8800"
        raise UserError(f"--background {background or repr(background)}: {remedy}") from None
    if dataset in NAMES:
        return
    remedy = f"take {', '.join(NAMES)}, a folder of pictures, or a {', '.join(FILES)}"
    if not os.path.exists(dataset):
        raise UserError(f"--dataset {dataset or repr(dataset)}: neither a known data set nor a path; {remedy}")
    if not os.path.isdir(dataset) and not dataset.lower().endswith(FILES):
        raise UserError(f"--dataset {dataset}: is a file of another kind; {remedy}")
