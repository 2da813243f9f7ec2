"""What a step costs between two machines that are far apart: `python benchmarks/slow_link.py [train.py's options]`, as
root: a table of docs/scaling.md.

Two network namespaces stand for the machines, a launcher in each. What one sends reaches the other after a delay, by
the hand of this process: a kernel need not have netem. It forwards some 100 MB a second, and takes a part of the CPU.
"""

import argparse
import contextlib
import fcntl
import os
import shutil
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue

from benchmarks.scaling import milliseconds
from benchmarks.world_size import ROOT, launch_line

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
MTU = 9000


class Link:
    """A cable between two namespaces `names`, with a delay in seconds that may be set at any time."""

    def __init__(self, names: list[str]) -> None:
        self.names, self.delay = names, 0.0
        self._ends = [os.open("/dev/net/tun", os.O_RDWR) for _ in names]
        for i, (name, end) in enumerate(zip(names, self._ends, strict=True)):
            fcntl.ioctl(end, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
            for command in (
                f"netns add {name}",
                f"link set {name} netns {name}",
                f"-n {name} addr add 10.78.0.{i + 1}/24 dev {name}",
                f"-n {name} link set {name} mtu {MTU} up",
                f"-n {name} link set lo up",
            ):
                subprocess.run(["ip", *command.split()], check=True)
        for source, target in (self._ends, self._ends[::-1]):
            on_the_way: SimpleQueue[tuple[float, bytes]] = SimpleQueue()
            threading.Thread(target=self._send, args=(source, on_the_way), daemon=True).start()
            threading.Thread(target=self._arrive, args=(target, on_the_way), daemon=True).start()

    def _send(self, source: int, on_the_way: "SimpleQueue[tuple[float, bytes]]") -> None:
        with contextlib.suppress(OSError):  # until its namespace is gone
            while packet := os.read(source, MTU + 100):
                on_the_way.put((time.monotonic() + self.delay, packet))

    def _arrive(self, target: int, on_the_way: "SimpleQueue[tuple[float, bytes]]") -> None:
        while True:
            due, packet = on_the_way.get()
            time.sleep(max(0.0, due - time.monotonic()))
            with contextlib.suppress(OSError):
                os.write(target, packet)

    def close(self) -> None:
        for name in self.names:
            subprocess.run(["ip", "netns", "delete", name])


@contextlib.contextmanager
def link() -> Iterator[Link]:
    """Two machines and their cable. Exits with a word where that cannot be."""
    if os.geteuid() or not shutil.which("ip") or not Path("/dev/net/tun").exists():
        sys.exit("slow_link.py: needs root, iproute2 and /dev/net/tun")
    made = Link([f"gan{os.getpid()}{side}" for side in "ab"])
    try:
        yield made
    finally:
        made.close()


def measure(names: list[str], options: list[str]) -> float:
    """Milliseconds of a step, with a process on each machine."""
    jobs = []
    for rank, name in enumerate(names):
        address = ["--machine_rank", rank, "--main_process_ip", "10.78.0.1"]
        command = launch_line("machines_2", address, "benchmarks/scaling.py", "--work", *options)
        environment = os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true", "PYTHONPATH": str(ROOT)}
        within = ["ip", "netns", "exec", name, *command]
        jobs.append(
            subprocess.Popen(within, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        )
    words = [job.communicate(timeout=600) for job in jobs]
    return milliseconds(*("\n".join(texts) for texts in zip(*words, strict=True)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipes", nargs="+", default=["linear", "conv"])
    parser.add_argument("--delays", nargs="+", type=float, default=[0.0, 1.0, 20.0], help="one way, in milliseconds")
    options, more = parser.parse_known_args()
    print("| recipe | " + " | ".join(f"{delay:g} ms" for delay in options.delays) + " |")
    print("|---" * (len(options.delays) + 1) + "|")
    with link() as cable:
        for recipe in options.recipes:
            times = []
            for delay in options.delays:
                cable.delay = delay / 1e3
                times.append(measure(cable.names, ["--recipe", recipe, *more]))
            print(f"| {recipe} | " + " | ".join(f"{each:.1f}" for each in times) + " |", flush=True)


if __name__ == "__main__":
    main()
