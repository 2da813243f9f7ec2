"""How the memory of a CPU run is handled by the C library."""

import ctypes
import sys

# malloc.h of glibc
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


def keep_freed_memory() -> None:
    """Have glibc keep what is freed for the next step; elsewhere do nothing.

    By default it gives each block of 32 MB or more back to the system at once, which hands it out again page by page,
    filled with zeros: convolutions free and take such blocks many times in a step.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library, such as musl
        return
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, 2**31 - 1)  # bytes, the most that it takes
