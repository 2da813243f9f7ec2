"""Lets a run go on when its output cannot be written: closed terminal or pipe, full disk."""

import io
import os
import sys
from typing import Any, TextIO


class _Tolerant(io.FileIO):
    """A stream that drops what cannot be written."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)


def keep_open() -> None:
    """Make writes to sys.stdout and sys.stderr never raise, and let no other file take the number of a closed one."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    sys.stdout, sys.stderr = (_tolerant(stream, number) for number, stream in ((1, sys.stdout), (2, sys.stderr)))


def _tolerant(stream: TextIO | None, descriptor: int) -> TextIO:
    if stream:  # None where it was closed from the start
        stream.flush()
    encoding = stream.encoding if stream else "utf-8"
    raw = _Tolerant(descriptor, "w", closefd=False)
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, "backslashreplace", line_buffering=True)
