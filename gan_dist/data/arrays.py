"""Files of numpy: .npy with images, .npz with images and labels."""

import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gan_dist.data.pictures import Pictures, Source
from gan_dist.errors import UserError, reason


def images_of(file: Path) -> NDArray[np.uint8]:
    """What a .npy holds, memory-mapped and read-only -> uint8 [N, H, W] or [N, H, W, C]. Raises UserError."""
    return _checked(_loaded(file, mmap_mode="r"), file)


def source(file: Path) -> Source:
    """The images of a .npy or .npz. Raises UserError, also where they are found."""
    try:
        status = file.stat()
    except OSError as error:
        raise UserError(f"--dataset {file}: cannot be read ({error.strerror})") from None
    return Source(f"array {file.name} {status.st_size} {status.st_mtime_ns}", partial(_find, file))


def _find(file: Path) -> Pictures:
    if file.suffix.lower() == ".npy":
        return pictures_of(images_of(file))
    with _loaded(file) as archive:
        try:
            images = _checked(archive["images"], file)
            labels = archive.get("labels")
        except (KeyError, OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise UserError(
                f"--dataset {file}: {reason(error)}; it must hold `images`, and may hold `labels`"
            ) from None
    if labels is None:
        return pictures_of(images)
    if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
        raise UserError(
            f"--dataset {file}: its labels are {labels.dtype} {list(labels.shape)}; "
            f"they must be whole numbers, one for each of the {len(images)} images"
        )
    numbers, labels = np.unique(labels, return_inverse=True)
    return pictures_of(images, labels, tuple(map(str, numbers)))


def pictures_of(
    images: NDArray[np.uint8], labels: NDArray[Any] | None = None, class_names: tuple[str, ...] = ()
) -> Pictures:
    """Images [N, H, W] or [N, H, W, C] (1 grey, 2 grey and alpha, 3 RGB, 4 RGBA) as pictures."""
    if images.shape[3:] == (1,):
        images = images[..., 0]

    def read(number: int) -> Image.Image:
        return Image.fromarray(np.ascontiguousarray(images[number]))

    known = None if labels is None else labels.astype(np.int64)
    return Pictures(len(images), read, "image {}".format, min(images.shape[1:3]), known, class_names)


def _loaded(file: Path, mmap_mode: Any = None) -> Any:
    try:
        loaded = np.load(file, mmap_mode=mmap_mode, allow_pickle=False)
        if isinstance(loaded, np.ndarray) != (file.suffix.lower() == ".npy"):
            raise ValueError("its content is not what its name says")
        return loaded
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"--dataset {file}: cannot be read ({reason(error)}); name a sound .npy or .npz") from None


def _checked(images: Any, file: Path) -> NDArray[np.uint8]:
    """Raises UserError for what are no images."""
    shape = images.shape
    is_images = len(shape) == 3 or (len(shape) == 4 and 1 <= shape[3] <= 4)
    if images.dtype != np.uint8 or not is_images or not images.size:
        found = f"{images.dtype} {list(shape)}"
        raise UserError(
            f"--dataset {file}: holds {found}; must hold uint8 [N, H, W] or [N, H, W, C] with 1 to 4 channels"
        )
    return np.asarray(images)
