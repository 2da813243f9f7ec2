"""Evaluates the generator of a run now and then, and keeps the best one."""

import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from numpy.typing import NDArray
from torch import Tensor, nn

from gan_dist.config.options import Config
from gan_dist.data.mnist import MissingError
from gan_dist.data.sources import SOURCES
from gan_dist.distributed.processes import run_first
from gan_dist.errors import reason
from gan_dist.evaluation.drawn import Drawn
from gan_dist.evaluation.evaluator import Evaluator
from gan_dist.evaluation.features import IMAGE_SHAPE, has_extractor
from gan_dist.storage.best import Best
from gan_dist.tracking.alerts import Alert, Watch
from gan_dist.tracking.names import EVAL

logger = logging.getLogger(__name__)

WORDS = {"frechet_distance": "Frechet distance", "sliced_distance": "sliced Wasserstein distance"}


class Quality:
    """Figures of a generator, the same for every number of processes; every process makes its share of the images.

    images: what is trained on, uint8 [num_images, C, H, W]. frequencies: of classes in training [num_classes], if the
    generator takes labels. epoch: its steps.
    """

    def __init__(
        self,
        config: Config,
        accelerator: Accelerator,
        generator: nn.Module,
        images: NDArray[np.uint8],
        frequencies: Tensor | None,
        epoch: int,
    ) -> None:
        self.every = max(1, round(config.output.eval_every * epoch)) if config.output.eval_every else 0
        self.best: Best | None = None
        self.name = "frechet_distance" if has_extractor(config.data.dataset, images.shape[1:]) else "sliced_distance"
        self._drawn = Drawn(generator, config.model.latent_dim, config.run.seed, frequencies)
        num, device = config.output.eval_images, accelerator.device
        self._watch = Watch()
        self._labels = None if config.model.clusters else self._drawn.labels(range(num))  # clusters are no classes
        self._evaluator: Evaluator | None = None
        if self.every:
            self._evaluator = run_first(
                accelerator, accelerator.is_main_process, lambda: _make(config, accelerator, images)
            )
            if not broadcast(torch.tensor(self._evaluator is not None, device=device)):
                self.every = 0

    def open(self, folder: Path, rows: Sequence[dict[str, Any]], step: int) -> None:
        """Go on after `step` with what `rows` of metrics say; for the main process. Raises OSError."""
        column = EVAL + self.name
        self.best = Best(folder, {row["step"]: row[column] for row in rows if column in row}, step)

    def told(self, step: int) -> str:
        """The figure of a step in words, with its floor."""
        assert self.best is not None
        words = f"{WORDS[self.name]} {self.best.figures[step]:.3g}"
        if not self._evaluator:
            return words
        if self._evaluator.description["split"] == "train":
            words += " from the training images"
        if floor := self._evaluator.description["floor"].get(self.name):
            words += f", {self.best.figures[step] / floor:.1f} times that of real images"
        return words

    def of_best(self) -> str | None:
        """Where the best generator is, and its figure; None if there is none."""
        if self.best is None or self.best.step is None:
            return None
        return f"best generator: {self.best.path}, {self.told(self.best.step)}"

    def alerts(self, step: int, figures: dict[str, float]) -> list[Alert]:
        """What somebody should know of an evaluation."""
        assert self.best is not None
        before = [figure for then, figure in self.best.figures.items() if then < step]
        return self._watch.evaluation(step, figures, self.best.figures[step], min(before, default=float("inf")))

    def tidy(self) -> None:
        """Delete what is no longer needed, as far as possible."""
        if self.best:
            with contextlib.suppress(OSError):
                self.best.tidy()

    def is_due(self, step: int, is_last: bool) -> bool:
        """Whether the generator is to be evaluated after a step."""
        return self.every > 0 and (is_last or step % self.every == 0)

    def __call__(self, step: int, save: Callable[[Path, dict[str, str]], None]) -> dict[str, float] | None:
        """Figures by column, on the main process; `save` writes weights with metadata if they are the best.

        Every process must call it.
        """
        start = time.monotonic()
        assert self._evaluator is not None
        figures = self._evaluator(self._drawn, self._labels)
        if figures is None or self.best is None:
            return None
        figure = figures[self.name]
        try:
            self.best.offer(step, figure, lambda folder: save(folder, {self.name: repr(figure)}))
        except OSError as error:
            logger.warning("step %s: the best generator was not saved (%s)", step, reason(error))
        row = {EVAL + name: value for name, value in figures.items()}
        return row | {EVAL + "seconds": round(time.monotonic() - start, 2)}


def _make(config: Config, accelerator: Accelerator, images: NDArray[np.uint8]) -> Evaluator | None:
    """None, on the main process alone, if what it needs is not to be had. Raises UserError for a damaged file."""
    # Only the known data sets, as they are, have test images.
    is_known = config.data.dataset in SOURCES and images.shape[1:] == IMAGE_SHAPE
    try:
        return Evaluator(
            config.data.dataset,
            config.data.data_dir,
            real=None if is_known else images,
            split="test" if is_known else "train",
            num=config.output.eval_images,
            process_index=accelerator.process_index,
            num_processes=accelerator.num_processes,
            device=accelerator.device,
        )
    except MissingError as error:
        logger.warning("no evaluation: %s", error)
        return None
