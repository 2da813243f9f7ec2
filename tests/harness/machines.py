"""Two machines on this one."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def two_machines() -> Iterator[list[str]]:
    """Names of two network namespaces with a cable between them, 10.77.0.1 and 10.77.0.2.

    In both the host's name means 127.0.1.1, as on Debian; `first` is the first of them, which takes that for 127.0.1.1.
    """
    if os.geteuid() or not shutil.which("ip"):
        pytest.skip("a network between two machines takes root and iproute2")
    names = [f"gan_{os.getpid()}_{i}" for i in range(2)]
    cable = [f"link add cable netns {names[0]} type veth peer name cable netns {names[1]}"]
    commands = [f"netns add {name}" for name in names] + cable
    for i, name in enumerate(names):
        commands += [f"-n {name} addr add 10.77.0.{i + 1}/24 dev cable"]
        commands += [f"-n {name} link set {device} up" for device in ("lo", "cable")]
    try:
        for i, name in enumerate(names):
            hosts = f"127.0.0.1 localhost\n127.0.1.1 {socket.gethostname()}\n{('127.0.1.1', '10.77.0.1')[i]} first\n"
            Path("/etc/netns", name).mkdir(parents=True)  # `ip netns exec` lays it over /etc
            Path("/etc/netns", name, "hosts").write_text(hosts)
        for command in commands:
            if subprocess.run(["ip", *command.split()], capture_output=True).returncode:
                pytest.skip(f"no network of our own here: ip {command}")
        yield names
    finally:
        for name in names:
            pids = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True).stdout.split()
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)
            shutil.rmtree(Path("/etc/netns", name), ignore_errors=True)
