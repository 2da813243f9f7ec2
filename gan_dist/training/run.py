"""The folder of a run, to look at in a notebook."""

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_dist.errors import UserError
from gan_dist.storage.metrics_file import read_rows

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import nn


class Run:
    """A run that has begun, whether it goes on, has ended or was stopped. model: as in `load_generator`.

    Raises UserError if the folder holds no run.
    """

    def __init__(self, path: str | Path, model: str | Path | None = None) -> None:
        self.path, self._model = Path(os.path.expanduser(path)), model
        if not (self.path / "config.yaml").is_file():
            raise UserError(f"{path}: holds no run; name a folder that training has made, such as runs/NAME")

    def __repr__(self) -> str:
        rows = self.metrics
        return f"Run({str(self.path)!r}), step {rows[-1]['step'] if rows else 0}"

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The rows of metrics.jsonl, read anew each time: pandas.DataFrame(run.metrics) is a table."""
        return read_rows(self.path / "metrics.jsonl")

    @cached_property
    def generator(self) -> "nn.Module":
        """What `load_generator` gives: on the CPU, in eval mode. Loaded once. Raises UserError."""
        from gan_dist.storage.weights import load_generator

        return load_generator(self.path, self._model)

    def show(self, num: int = 64, seed: int = 0) -> "Image":
        """A picture of `num` images of the generator, of all classes in turn; a notebook shows it. Raises UserError."""
        from gan_dist.drawing.images import Drawing

        if num < 1:
            raise UserError(f"num {num}: must be at least 1")
        return Drawing(self.generator, seed).picture(num)
