"""Pictures as Pillow reads them, and how one becomes a square image of bytes."""

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageOps, UnidentifiedImageError

from gan_dist.errors import reason

# What Pillow names and does not read by itself: for EPS it starts Ghostscript, for the others it needs a plugin.
NOT_READ = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
# A JPEG is decoded at half, a quarter or an eighth of its size if that is at least this many times the image's.
REDUCING_GAP = 3


class Pictures(NamedTuple):
    """Pictures that can be read in any order, from several threads.

    read: the number of a picture, from 0 -> the picture; what it raises makes the picture a damaged one. name: the
    number -> what messages call it. size: height and width of images if none is asked for. labels: places in
    class_names [num]. note: what else to tell who packs them.
    """

    num: int
    read: Callable[[int], Image.Image]
    name: Callable[[int], str]
    size: int
    labels: NDArray[np.int64] | None = None
    class_names: tuple[str, ...] = ()
    note: str = ""


class Source(NamedTuple):
    """Pictures that are found only if they have to be. made_from: is another one where they may have changed."""

    made_from: str
    find: Callable[[], Pictures]


@cache
def formats() -> dict[str, str]:
    """{ending with its dot: format} of all files that Pillow reads by itself."""
    Image.init()
    known = Image.EXTENSION.items()
    return {ending: name for ending, name in known if name in Image.OPEN and name not in NOT_READ}


def opened(file: object) -> Image.Image:
    """A picture from a file or a stream; read only as far as its header. Raises whatever Pillow raises."""
    return Image.open(file, formats=sorted(set(formats().values())))  # type: ignore[arg-type]


def to_image(picture: Image.Image, size: int, channels: int, background: tuple[int, int, int]) -> NDArray[np.uint8]:
    """A picture in any mode -> [channels, size, size]: its centre as a square, scaled with Lanczos' filter.

    channels: 1 or 3. background: what shows through where it is transparent. Raises whatever Pillow raises, and
    ValueError for numbers of an unknown range.
    """
    picture.draft(None, (REDUCING_GAP * size, REDUCING_GAP * size))
    ImageOps.exif_transpose(picture, in_place=True)
    if picture.mode.startswith("I"):
        picture = _from_16_bits(picture)
    if picture.mode == "F":
        raise ValueError("holds floating-point numbers, whose range is not known")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, background), picture)
    picture = picture.convert("L" if channels == 1 else "RGB")
    side = min(picture.size)
    left, top = ((length - side) // 2 for length in picture.size)
    picture = picture.resize((size, size), Image.Resampling.LANCZOS, (left, top, left + side, top + side))
    return np.asarray(picture).reshape(size, size, channels).transpose(2, 0, 1)


def _from_16_bits(picture: Image.Image) -> Image.Image:
    values = np.asarray(picture).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise ValueError("holds numbers of more than 16 bits, whose range is not known")
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))


def colour(word: str) -> tuple[int, int, int]:
    """A colour by its name or as #rrggbb -> red, green, blue. Raises ValueError."""
    return ImageColor.getrgb(word)[:3]


def flaw(error: Exception) -> str:
    """What is wrong with a damaged picture, without the path of its file."""
    if isinstance(error, UnidentifiedImageError):
        return "is no picture"
    return error.strerror if isinstance(error, OSError) and error.strerror else reason(error)
