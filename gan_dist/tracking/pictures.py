"""Pictures in the run folder: grids of images, curves of metrics."""

import math
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from gan_dist.storage.metrics_file import read_rows


def save_grid(images: Tensor, file: Path) -> None:
    """Write images [N, 1, H, W] in [-1, 1] as one PNG, row by row in a nearly square grid."""
    num, _, height, width = images.shape
    columns = math.ceil(math.sqrt(num))
    rows = math.ceil(num / columns)
    pixels = images.detach().squeeze(1).add(1).mul(127.5).round().clamp(0, 255).byte().cpu().numpy()
    cells = np.zeros((rows * columns, height + 2, width + 2), dtype=np.uint8)
    cells[:num, 1:-1, 1:-1] = pixels
    grid = cells.reshape(rows, columns, height + 2, width + 2).swapaxes(1, 2)
    Image.fromarray(grid.reshape(rows * (height + 2), columns * (width + 2))).save(file)


def save_curves(metrics: Path, file: Path) -> None:
    """Draw the losses and D's accuracies over the steps of a metrics.jsonl."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = read_rows(metrics)
    figure = Figure(figsize=(8, 6), layout="constrained")
    FigureCanvasAgg(figure)
    losses, accuracies = figure.subplots(2, sharex=True)
    for axes, names in ((losses, ("loss_d", "loss_g")), (accuracies, ("accuracy_real", "accuracy_fake"))):
        for name in names:
            known = [row for row in rows if name in row]
            steps, values = ([row[key] for row in known] for key in ("step", name))
            axes.plot(steps, values, label=name.replace("_", " "), linewidth=1)
        axes.legend()
        axes.grid(alpha=0.3)
    losses.set_ylabel("loss")
    accuracies.set_ylabel("D is right")
    accuracies.set_xlabel("step")
    figure.savefig(file, dpi=120)
