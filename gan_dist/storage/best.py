"""RUN/best/: the generators that were the best of a run when they were saved, of which the last is the best so far.

Earlier ones stay as long as a checkpoint lies before their successor: a run that goes on from it has them as its best.
"""

from collections.abc import Callable
from pathlib import Path

from gan_dist import atomic
from gan_dist.storage.checkpoints import newest_first, step_of


class Best:
    """The best generator of a run, by a figure of which less is better."""

    def __init__(self, folder: Path, figures: dict[int, float], step: int) -> None:
        """figures: {step: figure} of what was evaluated until now; step: that are done. Raises OSError."""
        self.folder, self.figures = folder / "best", figures
        self._checkpoints = folder / "checkpoints"
        if self.folder.exists():
            atomic.clean(self.folder)
        for later in newest_first(self.folder):
            if step_of(later) > step:
                atomic.remove_folder(later)

    @property
    def path(self) -> Path | None:
        """The folder of the best weights, None before the first evaluation."""
        return next(iter(newest_first(self.folder)), None)

    @property
    def step(self) -> int | None:
        """Of the best weights, None before the first evaluation, or if its figure is lost."""
        step = step_of(self.path) if self.path else None
        return step if step in self.figures else None

    def offer(self, step: int, figure: float, save: Callable[[Path], None]) -> None:
        """Let `save` write the weights of a step to a folder if they are the best. Raises OSError."""
        is_best = self.step is None or figure < self.figures[self.step]
        self.figures[step] = figure
        if not is_best:
            return
        self.folder.mkdir(exist_ok=True)
        save(self.folder / f"step_{step:08d}")
        self.tidy()

    def tidy(self) -> None:
        """Delete those that no checkpoint needs. Raises OSError."""
        oldest = min((step_of(each) for each in newest_first(self._checkpoints)), default=0)
        were_best_then = [each for each in newest_first(self.folder) if step_of(each) <= oldest]
        for old in were_best_then[1:]:
            atomic.remove_folder(old)
