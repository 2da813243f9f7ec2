"""Pictures in the run folder: grids of images, curves of metrics."""

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from gan_dist.storage.metrics_file import read_rows

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


def save_curves(metrics: Path, file: Path) -> None:
    """Draw losses, D's accuracies and, if there are any, distances to real images over the steps of a metrics.jsonl."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = read_rows(metrics)
    panels = {
        "loss": ["loss_d", "loss_g"],
        "D is right": ["accuracy_real", "accuracy_fake"],
        "distance to real images": ["eval_frechet_distance", "eval_sliced_distance"],
    }
    there = {name for row in rows for name in row}
    panels = {words: [name for name in names if name in there] for words, names in panels.items()}
    panels = {words: names for words, names in panels.items() if names}
    figure = Figure(figsize=(8, 3 * max(1, len(panels))), layout="constrained")
    FigureCanvasAgg(figure)
    all_axes = figure.subplots(max(1, len(panels)), sharex=True, squeeze=False)[:, 0]
    for axes, (words, names) in zip(all_axes, panels.items(), strict=False):
        for name in names:
            known = [row for row in rows if name in row]
            steps, values = ([row[key] for row in known] for key in ("step", name))
            axes.plot(steps, values, ".-" if len(steps) < 100 else "-", label=name.replace("_", " "), linewidth=1)
        if names[0].startswith("eval_"):
            axes.set_yscale("log")
        axes.legend()
        axes.grid(alpha=0.3, which="both")
        axes.set_ylabel(words)
    all_axes[-1].set_xlabel("step")
    figure.savefig(file, dpi=120)
