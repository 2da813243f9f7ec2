"""Pictures in the run folder: grids of images, curves of metrics."""

import math
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from gan_dist.storage.metrics_file import read_rows

MAX_FRAMES = 60


def save_grid(images: Tensor, file: Path) -> None:
    """Write images [N, C, H, W] in [-1, 1], C 1 or 3, as one PNG, grey or RGB, row by row in a nearly square grid."""
    grid(images).save(file)


def grid(images: Tensor, columns: int | None = None) -> Image.Image:
    """Images [N, C, H, W] in [-1, 1] as one, row by row. columns: None for a nearly square grid."""
    num, channels, height, width = images.shape
    columns = columns or math.ceil(math.sqrt(num))
    rows = math.ceil(num / columns)
    pixels = images.detach().add(1).mul(127.5).round().clamp(0, 255).byte().cpu().numpy()
    cells = np.zeros((rows * columns, channels, height + 2, width + 2), dtype=np.uint8)
    cells[:num, :, 1:-1, 1:-1] = pixels
    picture = cells.reshape(rows, columns, channels, height + 2, width + 2).transpose(0, 3, 1, 4, 2)
    picture = picture.reshape(rows * (height + 2), columns * (width + 2), channels)
    return Image.fromarray(picture if channels == 3 else picture[..., 0])


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
