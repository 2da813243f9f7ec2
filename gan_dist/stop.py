"""Ctrl-C as a request that all processes follow at the same step."""

import signal
import time
from types import FrameType, TracebackType

import torch
import torch.distributed as dist


class StopRequest:
    """While it is entered, Ctrl-C only asks for a stop; once more, a second later, and it is as usual.

    Every process must call `agreed` after every step.
    """

    def __init__(self) -> None:
        self.signum = 0
        self._since = 0.0
        several = dist.is_initialized() and dist.get_world_size() > 1
        # On the CPU, so that asking never waits for a GPU.
        self._group: dist.ProcessGroup | None = dist.new_group(backend="gloo") if several else None  # type: ignore[assignment]
        self._last_ask = time.monotonic()
        self._last_step = self._next_step = 0

    def __enter__(self) -> "StopRequest":
        self._old = signal.signal(signal.SIGINT, self._request)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        signal.signal(signal.SIGINT, self._old)

    def _request(self, signum: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.signum and now - self._since > 1:  # a launcher repeats at once what the terminal sends
            raise KeyboardInterrupt
        self._since = self._since if self.signum else now
        self.signum = signum

    def agreed(self, step: int) -> int:
        """The signal to stop for, or 0: the same answer at the same step on every process."""
        if self._group is None:
            return self.signum
        if step < self._next_step:
            return 0
        now = time.monotonic()
        per_step = (now - self._last_ask) / max(1, step - self._last_step)
        answer = torch.tensor([self.signum, per_step], dtype=torch.float64)
        dist.all_reduce(answer, dist.ReduceOp.MAX, group=self._group)
        # About twice a second: what it costs is then nothing beside a step, and a stop is still prompt.
        self._next_step = step + max(1, min(100, round(0.5 / max(answer[1].item(), 1e-6))))
        self._last_step, self._last_ask = step, now
        return int(answer[0])
