"""Images that somebody else's generator has written: a folder of PNG files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from gan_dist.data.order import permutation
from gan_dist.errors import UserError

MODES = {1: "L", 3: "RGB"}  # PIL's names, by channels


def shape_of_pngs(folder: Path) -> tuple[int, int, int]:
    """(channels, height, width) of the first image below `folder`, grey unless it is RGB. Raises UserError."""
    file = min(folder.rglob("*.png"))
    try:
        with Image.open(file) as image:
            return 3 if image.mode == "RGB" else 1, image.height, image.width
    except (OSError, UnidentifiedImageError, SyntaxError) as error:
        raise _unreadable(file, error) from None


def read_pngs(folder: Path, most: int, image_shape: Sequence[int]) -> Tensor:
    """The images below `folder`, one a file -> [N, *image_shape] in [-1, 1]; of more than `most`, that many of them.

    Which ones is drawn, always the same, as the first ones could all be of one class. Raises UserError for a file that
    is not one image of image_shape (channels, height, width).
    """
    found = sorted(folder.rglob("*.png"))
    chosen = np.sort(permutation(0, 0, len(found))[:most])
    channels, height, width = image_shape
    pixels = np.empty((len(chosen), height, width, channels), dtype=np.uint8)
    for i, file in enumerate(found[index] for index in chosen):
        try:
            with Image.open(file) as image:
                if image.mode != MODES[channels] or image.size != (width, height):
                    words = f"is {image.width} x {image.height} of mode {image.mode}, not {width} x {height}"
                    raise UserError(
                        f"{file}: {words} of mode {MODES[channels]}; a folder must hold one image in a file"
                    )
                pixels[i] = np.asarray(image).reshape(pixels.shape[1:])
        except (OSError, UnidentifiedImageError, SyntaxError) as error:
            raise _unreadable(file, error) from None
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def _unreadable(file: Path, error: Exception) -> UserError:
    return UserError(f"{file}: cannot be read as PNG ({' '.join(str(error).split())}); delete it")
