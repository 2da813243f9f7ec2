"""Learning-rate schedules over images."""

import math
from typing import NamedTuple


class Schedule(NamedTuple):
    """constant, linear or cosine, with a warm-up; `total` and `warmup` are images, `start` is a share of `total`."""

    kind: str
    total: int
    warmup: int = 0
    start: float = 0.0  # of the decay

    def factor(self, images_seen: int) -> float:
        """What learning rates are multiplied with in the step after `images_seen` images."""
        rising = min(1.0, (images_seen + 1) / (self.warmup + 1))
        begin = self.start * self.total
        done = min(1.0, max(0.0, (images_seen - begin) / max(1.0, self.total - begin)))
        if self.kind == "linear":
            return rising * (1 - done)
        # Half a period: Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.
        return rising * (1 + math.cos(math.pi * done)) / 2 if self.kind == "cosine" else rising
