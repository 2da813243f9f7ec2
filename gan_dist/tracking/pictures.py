"""Pictures in the run folder: grids of images, and the samples as they grew."""

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

MAX_FRAMES = 60


def save_grid(images: Tensor, file: Path) -> None:
    """Write images [N, C, H, W] in [-1, 1], C 1 or 3, as one PNG, grey or RGB, row by row in a nearly square grid."""
    as_grid(to_bytes(images)).save(file)


def to_bytes(images: Tensor) -> NDArray[np.uint8]:
    """Images [N, C, H, W] in [-1, 1] -> uint8 [N, H, W, C]."""
    return images.detach().add(1).mul(127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()


def as_grid(pixels: NDArray[np.uint8], columns: int | None = None) -> Image.Image:
    """uint8 [N, H, W, C] -> one picture, row by row. columns: None for a nearly square grid."""
    num, height, width, channels = pixels.shape
    columns = columns or math.ceil(math.sqrt(num))
    rows = math.ceil(num / columns)
    cells = np.zeros((rows * columns, height + 2, width + 2, channels), dtype=np.uint8)
    cells[:num, 1:-1, 1:-1] = pixels
    grid = cells.reshape(rows, columns, height + 2, width + 2, channels).swapaxes(1, 2)
    return as_picture(grid.reshape(rows * (height + 2), columns * (width + 2), channels))


def as_picture(pixels: NDArray[np.uint8]) -> Image.Image:
    """uint8 [H, W, C], C 1 or 3 -> a grey or RGB picture."""
    return Image.fromarray(pixels if pixels.shape[-1] == 3 else pixels[..., 0])


def save_growth(pictures: Path, file: Path) -> bool:
    """Write the samples of a run, fake_*.png in a folder, as one moving GIF -> whether there are two or more.

    All steps but of many a part, evenly chosen; the last stays for two seconds.
    """
    steps = sorted(pictures.glob("fake_*.png"))
    if len(steps) < 2:
        return False
    num = min(len(steps), MAX_FRAMES)
    chosen = [steps[i * (len(steps) - 1) // (num - 1)] for i in range(num)]
    first, *rest = [Image.open(step) for step in chosen]
    times = [max(50, 4000 // num)] * (num - 1) + [2000]
    first.save(file, save_all=True, append_images=rest, duration=times, loop=0)
    return True
