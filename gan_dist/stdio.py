"""The output of a command. It may not be writable, on a closed terminal or pipe or a full disk: that ends no run."""

import io
import logging
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


class _Lines(logging.Formatter):
    """`warning: ...` and `error: ...`, and the bare words of what is neither."""

    def format(self, record: logging.LogRecord) -> str:
        words = super().format(record)
        return words if record.levelno < logging.WARNING else f"{record.levelname.lower()}: {words}"


def show_log() -> None:
    """Print what gan_dist logs on sys.stderr. After `keep_open`, or else logging itself complains of a closed one."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    logger = logging.getLogger("gan_dist")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False  # or a line comes twice if some library sets up the root logger


def _tolerant(stream: TextIO | None, descriptor: int) -> TextIO:
    if stream:  # None where it was closed from the start
        stream.flush()
    encoding = stream.encoding if stream else "utf-8"
    raw = _Tolerant(descriptor, "w", closefd=False)
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, "backslashreplace", line_buffering=True)
