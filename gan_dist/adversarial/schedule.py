"""Learning-rate schedules over images."""

import math
from typing import NamedTuple


class Schedule(NamedTuple):
    """constant, linear or cosine, with a warm-up; `total` and `warmup` are images."""

    kind: str
    total: int
    warmup: int = 0
    start: float = 0.0  # of the decay, as a share of `total`
    end: float = 0.0  # what is left of the learning rates after it, as a share of them

    def factor(self, images_seen: int) -> float:
        """What learning rates are multiplied with in the step after `images_seen` images."""
        rising = min(1.0, (images_seen + 1) / (self.warmup + 1))
        begin = self.start * self.total
        done = min(1.0, max(0.0, (images_seen - begin) / max(1.0, self.total - begin)))
        if self.kind == "constant":
            return rising
        # Half a period: Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.
        left = 1 - done if self.kind == "linear" else (1 + math.cos(math.pi * done)) / 2
        return rising * (self.end + (1 - self.end) * left)
