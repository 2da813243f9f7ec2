"""Steps of the trainer in this process, for benchmarks that time them."""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator

from gan_dist.adversarial.step import Batch
from gan_dist.config.resolve import parse
from gan_dist.tracking.meter import Meter
from gan_dist.training.trainer import Trainer

LOG_EVERY = 50


class Steps:
    """What train.py does between two evaluations, a row of metrics every 50 steps included. args: its options."""

    def __init__(self, *args: object) -> None:
        self._folder = tempfile.TemporaryDirectory()
        options = ["--run-dir", self._folder.name, "--tracker", "none", "--log-every", LOG_EVERY, *args]
        with self._silence():
            self.trainer = Trainer(parse(list(map(str, options))))
        state, accelerator = self.trainer.state, self.trainer.accelerator
        boundary = state.step.objective.boundary
        self.meter = Meter(state.generator, state.discriminator, accelerator, LOG_EVERY, 1, boundary=boundary)

    def run(self, num: int) -> float:
        """Train `num` steps -> seconds."""
        trainer = self.trainer
        first = trainer.steps_done + 1
        start = time.perf_counter()
        with self._silence():
            for step in range(first, first + num):
                result = trainer.state.train(step, trainer.batches(step))
                self.meter.update(result)
                trainer.steps_done = step
                if step % LOG_EVERY == 0:
                    trainer._log(self.meter, result)
        return time.perf_counter() - start

    def run_bare(self, num: int, batch: Batch) -> float:
        """The same with one batch again and again, and without a word -> seconds."""
        start = time.perf_counter()
        for step in range(self.trainer.steps_done + 1, self.trainer.steps_done + num + 1):
            self.trainer.state.train(step, batch)
        return time.perf_counter() - start

    @contextlib.contextmanager
    def _silence(self) -> Iterator[None]:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
            yield
