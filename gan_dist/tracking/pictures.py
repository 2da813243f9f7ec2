"""Pictures in the run folder: grids of images, and the samples as they grew."""

import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from gan_dist.data.order import Stream, classes_in_turn, normal

MAX_FRAMES = 60


def draw(generator: nn.Module, num: int, seed: int = 0, digit: int | None = None) -> Tensor:
    """Images [num, C, H, W] in [-1, 1] of what `load_generator` gave: of all classes in turn, or of one."""
    like = next(generator.parameters())
    (noise,) = normal(seed, Stream.SAMPLE, [0], num, generator.latent_dim)  # type: ignore[arg-type]
    labels = classes_in_turn(num, generator.num_classes)  # type: ignore[arg-type]
    if digit is not None:
        labels = (torch.full((num,), digit),)
    with torch.no_grad():
        return generator(noise.to(like), *(each.to(like.device) for each in labels))


def grid(images: Tensor) -> Image.Image:
    """Images [N, C, H, W] in [-1, 1], C 1 or 3 -> one picture, grey or RGB, row by row in a nearly square grid."""
    num, channels, height, width = images.shape
    columns = math.ceil(math.sqrt(num))
    rows = math.ceil(num / columns)
    pixels = images.detach().add(1).mul(127.5).round().clamp(0, 255).byte().cpu().numpy()
    cells = np.zeros((rows * columns, channels, height + 2, width + 2), dtype=np.uint8)
    cells[:num, :, 1:-1, 1:-1] = pixels
    placed = cells.reshape(rows, columns, channels, height + 2, width + 2).transpose(0, 3, 1, 4, 2)
    picture = placed.reshape(rows * (height + 2), columns * (width + 2), channels)
    return Image.fromarray(picture if channels == 3 else picture[..., 0])


def save_grid(images: Tensor, file: Path) -> None:
    """Write the grid of images [N, C, H, W] in [-1, 1] as a PNG. Raises OSError, and ValueError for another ending."""
    grid(images).save(file)


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
