"""Images as files, which are there as a whole or not at all."""

import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gan_dist import atomic
from gan_dist.tracking.pictures import as_picture

MILLISECONDS = 40  # that a moving picture shows a frame


def save_pngs(parts: Iterable[NDArray[np.uint8]], labels: NDArray[np.int64] | None, folder: Path) -> None:
    """Write images, uint8 [N, H, W, C] at a time, as 000000.png and so on, or 000000_class7.png. Raises OSError.

    folder: a new one; an empty one is replaced.
    """
    done = 0
    with atomic.new_folder(folder) as new:
        for part in parts:
            for number, pixels in enumerate(part, done):
                words = "" if labels is None else f"_class{labels[number]}"
                as_picture(pixels).save(new / f"{number:06}{words}.png")
            done += len(part)


def save_npz(parts: Iterable[NDArray[np.uint8]], num: int, labels: NDArray[np.int64] | None, file: Path) -> None:
    """Write `num` images, uint8 [N, H, W, C] at a time, as `images` and their `labels` of a .npz. Raises OSError.

    Grey images lose C, as `--dataset` takes them. Not by np.savez: it takes all of them at once, and records the time.
    """
    with atomic.new_file(file) as new, zipfile.ZipFile(new, "w") as archive:
        with archive.open(zipfile.ZipInfo("images.npy"), "w", force_zip64=True) as member:
            for place, part in enumerate(parts):
                pixels = part[..., 0] if part.shape[-1] == 1 else part
                if place == 0:
                    header = {"descr": "|u1", "fortran_order": False, "shape": (num, *pixels.shape[1:])}
                    np.lib.format.write_array_header_1_0(member, header)
                member.write(pixels.tobytes())
        if labels is not None:
            with archive.open(zipfile.ZipInfo("labels.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, labels)


def save_picture(frames: Iterable[Image.Image], file: Path, kind: str) -> None:
    """Write a picture, a moving one if there are several frames. kind: PNG, GIF or WEBP. Raises OSError."""
    first, *others = frames
    moving: dict[str, Any] = (
        {"save_all": True, "append_images": others, "duration": MILLISECONDS, "loop": 0} if others else {}
    )
    with atomic.new_file(file) as new:
        first.save(new, kind, **moving)
