"""Decodes pictures in parallel into one file of bytes."""

import os
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gan_dist.data.pictures import Pictures, flaw, to_image

AT_ONCE = 128  # images in memory

Progress = Callable[[int, int], None]  # takes how many pictures are done, and of how many


class Look(NamedTuple):
    """What images are to look like. size: None for that of the pictures; channels: None for 1 if all are grey."""

    size: int | None
    channels: int | None
    background: tuple[int, int, int]


class Decoded(NamedTuple):
    """shape: of the array in the file; kept: numbers of the pictures in it; damaged: {number: what is wrong}."""

    shape: tuple[int, ...]
    kept: list[int]
    damaged: dict[int, str]


def decode(pictures: Pictures, look: Look, size: int, file: Path, progress: Progress) -> Decoded:
    """Write the images of all sound pictures, uint8 [N, C, size, size]. Raises OSError if `file` cannot be written.

    By threads: Pillow lets others run while it decodes and scales.
    """
    channels, kept, damaged = look.channels or 3, [], {}
    grey = look.channels is None

    def one(number: int) -> NDArray[np.uint8] | str:
        try:
            with pictures.read(number) as picture:
                return to_image(picture, size, channels, look.background)
        except Exception as error:  # of many types, as Pillow's readers have them
            return flaw(error)

    with file.open("wb") as out, ThreadPoolExecutor() as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd files that Pillow reads all the same
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for start in range(0, pictures.num, AT_ONCE):
            numbers = range(start, min(start + AT_ONCE, pictures.num))
            for number, made in zip(numbers, pool.map(one, numbers), strict=True):
                if isinstance(made, str):
                    damaged[number] = made
                    continue
                kept.append(number)
                grey = grey and bool((made == made[:1]).all())
                out.write(made.tobytes())
            progress(numbers.stop, pictures.num)
    shape = len(kept), channels, size, size
    if grey and kept:
        _keep_first_channel(file, shape)
        shape = len(kept), 1, size, size
    return Decoded(shape, kept, damaged)


def _keep_first_channel(file: Path, shape: tuple[int, ...]) -> None:
    images, new = np.memmap(file, np.uint8, "r", shape=shape), file.with_name("grey")
    with new.open("wb") as out:
        for start in range(0, len(images), AT_ONCE):
            out.write(images[start : start + AT_ONCE, :1].tobytes())
    os.replace(new, file)
