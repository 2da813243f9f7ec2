"""In place of train.py in a job: trains until a signal reaches it, then saves for so many seconds."""

import signal
import sys
import time
from pathlib import Path

received: list[int] = []


def main() -> int:
    if "--print-config" in sys.argv:
        return 0
    for signum in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(signum, lambda signum, _: received.append(signum))
    Path("started").touch()
    end = time.monotonic() + 60
    while not received and time.monotonic() < end:
        time.sleep(0.1)
    until = time.monotonic() + float(sys.argv[-1])
    while time.monotonic() < until:  # a second signal ends no save here
        time.sleep(0.1)
    Path("saved").touch()
    return 128 + sum(received[:1])


if __name__ == "__main__":
    sys.exit(main())
