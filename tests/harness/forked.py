"""Python programs in processes that have imported torch already, which is most of the time of a short run.

Each is forked from a server that has imported what programs import, and has done nothing else. For a test of the start
itself (imports, launchers, variables that libraries read as they are imported) a program is started afresh.
"""

import atexit
import contextlib
import multiprocessing
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

SERVER = multiprocessing.get_context("forkserver")
# A run of several processes imports torch._dynamo as well, for DDP.
SERVER.set_forkserver_preload(["torch._dynamo", "gan_dist.training.trainer", "gan_dist.evaluation.evaluator"])
MODULES = list(sys.path)  # before a test has changed it


class Program:
    """`FILE.py OPTIONS` or `-m MODULE OPTIONS` in `folder`, with those methods of `subprocess.Popen` that tests use.

    It leads a session of its own. environment: all of it. merged: stderr goes where stdout goes.
    """

    def __init__(self, *words: object, folder: Path, environment: Mapping[str, str], merged: bool = False) -> None:
        self.args = [sys.executable, *map(str, words)]
        self._place = tempfile.TemporaryDirectory()
        self._outputs = [Path(self._place.name, name) for name in ("stdout", "stdout" if merged else "stderr")]
        for file in self._outputs:
            file.touch()
        args = self.args[1:], folder, dict(environment), MODULES, self._outputs
        self._process = SERVER.Process(target=_main, args=args, daemon=True)  # ends with the tests, if one has failed
        self._process.start()
        assert self._process.pid
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end -> what it printed."""
        self.wait(timeout)
        out, err = (file.read_text() for file in self._outputs)
        return out, err

    def send_signal(self, signum: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, signum)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def run(
    *words: object,
    folder: Path,
    timeout: float = 300,
    afresh: bool = False,
    environment: Mapping[str, str] | None = None,
    num_processes: int = 1,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end -> exit code and what it printed.

    timeout: seconds. afresh: in a new interpreter, not a fork. environment: variables on top of those of the tests.
    num_processes: each has its rank where a launcher would have put it; the text is that of one after the other.
    """
    env = os.environ | dict(environment or {})
    if afresh:
        line = [sys.executable, *map(str, words)]
        return subprocess.run(line, cwd=folder, env=env, capture_output=True, text=True, timeout=timeout)
    with contextlib.ExitStack() as at_end:
        programs = []
        for variables in _ranks(num_processes):
            programs.append(Program(*words, folder=folder, environment=env | variables))
            at_end.callback(programs[-1].kill)
        texts = [program.communicate(timeout) for program in programs]
    code = next((program.returncode for program in programs if program.returncode), 0)
    return subprocess.CompletedProcess(programs[0].args, code, *map("".join, zip(*texts, strict=True)))


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _ranks(num_processes: int) -> list[dict[str, str]]:
    """What torch's launcher tells each of several processes; one alone is told nothing."""
    if num_processes == 1:
        return [{}]
    job = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    job |= dict.fromkeys(("WORLD_SIZE", "LOCAL_WORLD_SIZE"), str(num_processes))
    return [job | dict.fromkeys(("RANK", "LOCAL_RANK"), str(rank)) for rank in range(num_processes)]


def _main(
    words: list[str], folder: Path, environment: Mapping[str, str], modules: list[str], outputs: list[Path]
) -> None:
    os.setsid()
    multiprocessing.set_start_method(None, force=True)  # the platform's own, not that of the server
    for descriptor, file in enumerate(outputs, 1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_APPEND), descriptor)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", buffering=1, closefd=False)
    os.chdir(folder)
    sys.path[:] = modules
    os.environ.clear()
    os.environ.update(environment)
    is_module = words[0] == "-m"
    sys.argv = words[is_module:]
    try:
        if is_module:
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(words[0], run_name="__main__")
    finally:
        atexit._run_exitfuncs()  # multiprocessing leaves them out
