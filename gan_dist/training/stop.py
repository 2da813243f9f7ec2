"""Turns a signal into a stop of all processes at the same step."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from types import FrameType, TracebackType

import torch
import torch.distributed as dist

from gan_dist.distributed.processes import several

# Of a terminal; of clusters and spot machines before they take a machine back; of SLURM's --signal; of a terminal or an
# ssh connection that goes away.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
WINDOW_SECONDS = 0.5  # between two asks: what one costs is then nothing beside the steps, and a stop is still prompt
MAX_WINDOW = 100  # steps


class StopRequest:
    """Context in which the SIGNALS only ask for a stop; a second one ends the process at once.

    The signal may reach one process, some or all. Every process must call `agreed` after every step; one that does not
    for timeout_minutes is taken for dead. device: where the steps are computed. may_exit: if not, a second signal
    raises KeyboardInterrupt in place of ending a process that is not ours.
    """

    def __init__(self, timeout_minutes: float, device: torch.device, may_exit: bool = True) -> None:
        self._may_exit = may_exit
        self.signum = 0  # what reached this process
        self.agreed_on = 0  # what all processes stop for
        self._since = 0.0
        # On the CPU, so that asking never waits for a GPU.
        timeout = timedelta(minutes=timeout_minutes)
        self._group: dist.ProcessGroup | None = dist.new_group(backend="gloo", timeout=timeout) if several() else None  # type: ignore[assignment]
        self._device = device
        self._reached: torch.cuda.Event | None = None  # by the GPU: the step of the last ask
        self._window, self._next_step, self._last_ask = 0, 0, time.monotonic()

    def __enter__(self) -> "StopRequest":
        self._old = {}
        for signum in SIGNALS:
            if signum != signal.SIGHUP or signal.getsignal(signum) != signal.SIG_IGN:  # nohup has it ignored
                self._old[signum] = signal.signal(signum, self._request)
        return self

    @contextlib.contextmanager
    def ending(self, is_main: bool) -> Iterator[None]:
        """Context in which the main process may take longer than timeout_minutes, to save and to close dashboards.

        The other processes wait at its end, for as long as the main process shows that it is alive.
        """
        is_over = threading.Event()

        def give_or_await_signs() -> None:
            over = torch.zeros(1)
            while not over:
                if is_main:
                    over.fill_(is_over.wait(1))
                dist.all_reduce(over, group=self._group)

        if self._group is None:
            yield
        elif is_main:
            thread = threading.Thread(target=give_or_await_signs)
            thread.start()
            try:
                yield
            finally:
                is_over.set()
                thread.join()
        else:
            yield
            give_or_await_signs()

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        for signum, handler in self._old.items():
            signal.signal(signum, handler)

    def _request(self, signum: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.signum and now - self._since > 1:  # a launcher repeats at once what the terminal sends
            if self._may_exit:
                os._exit(128 + signum)
            raise KeyboardInterrupt
        self._since = self._since if self.signum else now
        self.signum = signum

    def agreed(self, step: int) -> int:
        """The signal to stop for, or 0: the same answer at the same step on every process."""
        if step >= self._next_step:
            self._ask(step)
        if self._group is None:
            self.agreed_on = self.signum
        return self.agreed_on

    def _ask(self, step: int) -> None:
        """Hear what has reached the others, and choose the next step at which to ask."""
        if self._device.type == "cuda":
            # The host may be far ahead of the GPU, which would have to end all those steps before a stop. Waiting for
            # the step of the last ask keeps the host at most one window ahead, and makes it see how long steps take.
            if self._reached:
                self._reached.synchronize()
            self._reached = torch.cuda.Event()
            self._reached.record()
        now = time.monotonic()
        per_step = (now - self._last_ask) / max(1, self._window)
        if self._group:
            answer = torch.tensor([self.signum, per_step], dtype=torch.float64)
            dist.all_reduce(answer, dist.ReduceOp.MAX, group=self._group)
            self.agreed_on, per_step = int(answer[0]), answer[1].item()
        # At most twice the last window: the first steps of a run are no measure of those that follow.
        longest = min(MAX_WINDOW, 2 * self._window or 1)
        self._window = max(1, min(longest, round(WINDOW_SECONDS / max(per_step, 1e-6))))
        self._next_step, self._last_ask = step + self._window, now
