"""Python programs in processes that have imported torch already, which is most of the time of a short run.

Each is forked from a server that has imported what programs import, and has done nothing else. For a test of the start
itself (imports, launchers, variables that libraries read as they are imported) a program is started afresh.
"""

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["torch._dynamo", "gan_dist.training.trainer", "gan_dist.evaluation.evaluator"])


def run(
    *words: object,
    folder: Path,
    timeout: float = 300,
    afresh: bool = False,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run Python in `folder` to its end -> exit code and what it printed.

    words: `FILE.py OPTIONS` or `-m MODULE OPTIONS`. timeout: seconds. afresh: in a new interpreter, not a fork.
    environment: variables on top of those of the tests.
    """
    command, env = [str(word) for word in words], os.environ | dict(environment or {})
    if afresh:
        line = [sys.executable, *command]
        return subprocess.run(line, cwd=folder, env=env, capture_output=True, text=True, timeout=timeout)
    with tempfile.TemporaryDirectory() as outputs:
        files = [Path(outputs, name) for name in ("stdout", "stderr")]
        process = SERVER.Process(target=_main, args=(command, folder, env, files))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(command, timeout)
        texts = [file.read_text() for file in files]
        return subprocess.CompletedProcess([sys.executable, *command], process.exitcode, *texts)


def _main(words: list[str], folder: Path, environment: Mapping[str, str], outputs: list[Path]) -> None:
    for descriptor, file in enumerate(outputs, 1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), descriptor)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", buffering=1, closefd=False)
    os.chdir(folder)
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
