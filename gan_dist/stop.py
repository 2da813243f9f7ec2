"""Signals as a request that all processes follow at the same step."""

import os
import signal
import time
from datetime import timedelta
from types import FrameType, TracebackType

import torch
import torch.distributed as dist

# Of a terminal; of clusters and spot machines before they take a machine back; of SLURM's --signal.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class StopRequest:
    """While it is entered, Ctrl-C, SIGTERM and SIGUSR1 only ask for a stop; a second one ends the process at once.

    The signal may reach one process, some or all. Every process must call `agreed` after every step; one that does not
    for timeout_minutes is taken for dead.
    """

    def __init__(self, timeout_minutes: float) -> None:
        self.signum = 0  # what reached this process
        self.agreed_on = 0  # what all processes stop for
        self._since = 0.0
        several = dist.is_initialized() and dist.get_world_size() > 1
        # On the CPU, so that asking never waits for a GPU.
        timeout = timedelta(minutes=timeout_minutes)
        self._group: dist.ProcessGroup | None = dist.new_group(backend="gloo", timeout=timeout) if several else None  # type: ignore[assignment]
        self._last_ask = time.monotonic()
        self._last_step = self._next_step = 0

    def __enter__(self) -> "StopRequest":
        self._old = {signum: signal.signal(signum, self._request) for signum in SIGNALS}
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for signum, handler in self._old.items():
            signal.signal(signum, handler)

    def _request(self, signum: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.signum and now - self._since > 1:  # a launcher repeats at once what the terminal sends
            os._exit(128 + signum)
        self._since = self._since if self.signum else now
        self.signum = signum

    def agreed(self, step: int) -> int:
        """The signal to stop for, or 0: the same answer at the same step on every process."""
        if self._group is None:
            self.agreed_on = self.signum
            return self.agreed_on
        if step < self._next_step:
            return 0
        now = time.monotonic()
        per_step = (now - self._last_ask) / max(1, step - self._last_step)
        answer = torch.tensor([self.signum, per_step], dtype=torch.float64)
        dist.all_reduce(answer, dist.ReduceOp.MAX, group=self._group)
        # About twice a second: what it costs is then nothing beside a step, and a stop is still prompt.
        self._next_step = step + max(1, min(100, round(0.5 / max(answer[1].item(), 1e-6))))
        self._last_step, self._last_ask = step, now
        self.agreed_on = int(answer[0])
        return self.agreed_on
