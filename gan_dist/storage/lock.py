"""The lock of a run folder, which the system drops when its process ends, even if killed. It does not need torch."""

import contextlib
import fcntl
import os
import socket
from pathlib import Path
from typing import TextIO

import psutil

LOCK = ".lock"


def owner() -> str:
    """What this process writes into a lock that it has."""
    return f"process {os.getpid()} on {socket.gethostname()}\n"


def take(file: TextIO) -> bool:
    """Lock an open file unless another process has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_in_use(folder: Path) -> bool:
    """Whether a process of this machine trains in a run folder. To try the lock could stop a run that begins."""
    file = folder / LOCK
    with contextlib.suppress(OSError, ValueError, psutil.NoSuchProcess):
        _, number, _, host = file.read_text().split()
        process = psutil.Process(int(number))
        is_owner = process.create_time() <= file.stat().st_mtime  # a later process may have got the number
        return host == socket.gethostname() and is_owner and process.status() != psutil.STATUS_ZOMBIE
    return False
