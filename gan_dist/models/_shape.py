"""What shapes of images a pair takes."""

from collections.abc import Sequence

from gan_dist.errors import UserError

LEAST = 8


def quarter(image_shape: Sequence[int]) -> tuple[int, int]:
    """Height and width of image_shape (channels, height, width), each halved twice.

    Raises UserError where that leaves a rest, or less than two pixels.
    """
    height, width = image_shape[1:]
    if height % 4 or width % 4 or min(height, width) < LEAST:
        words = f"images of {height} x {width} pixels: height and width must be multiples of 4, {LEAST} or more"
        raise UserError(f"{words}; take such an --image-size")
    return height // 4, width // 4
