"""Folders of pictures as somebody has them."""

from pathlib import Path

import numpy as np
from PIL import Image


def noise(size: int = 8, seed: int = 0, channels: int = 3) -> np.ndarray:
    """uint8 [size, size, channels], or [size, size] for one channel."""
    shape = (size, size) if channels == 1 else (size, size, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def save(pixels: np.ndarray | Image.Image, file: Path, **options: object) -> Path:
    """Write a picture, and the folders that lead to it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(file, **options)  # type: ignore[arg-type]
    return file


def fill(folder: Path, num: int, size: int = 8, channels: int = 3) -> Path:
    """Pictures 0.png, 1.png, ... of noise."""
    for number in range(num):
        save(noise(size, number, channels), folder / f"{number}.png")
    return folder
