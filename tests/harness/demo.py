"""The command `demo` as a process of its own, watched for whom it talks to."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import ROOT
from tests.harness.forked import free_port
from tests.harness.runs import wait_until

# Python imports a module of this name at its start. It notes each host that is looked up or connected to.
WATCH = """
import sys

def note(event, args):
    if event in ("socket.connect", "socket.getaddrinfo"):
        address = args[1] if event == "socket.connect" else args[:1]
        if isinstance(address, tuple):
            with open({log!r}, "a") as log:
                print(address[0], file=log)

sys.addaudithook(note)
"""


@contextlib.contextmanager
def demo(run: Path) -> Iterator[str]:
    """The address of the page of a run. At the end: Ctrl-C ends it at once, without a word, and it asked nobody."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "sitecustomize.py").write_text(WATCH.format(log=str(folder / "hosts")))
        (folder / "temporary").mkdir()
        port = free_port()
        path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
        environment = os.environ | {"PYTHONPATH": path, "TMPDIR": str(folder / "temporary")}
        environment |= {"HTTP_PROXY": "http://127.0.0.1:9", "no_proxy": ""}  # nobody is there
        command = [sys.executable, "-m", "gan_dist.demo", str(run), "--port", str(port)]
        with (folder / "log").open("w") as log:
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log, text=True)
        try:
            wait_until(lambda: "Ctrl-C" in (folder / "log").read_text(), process)
            yield f"http://127.0.0.1:{port}/"
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=4) == 0
        finally:
            process.kill()
            process.wait()
            said = (folder / "log").read_text()
        assert "Traceback" not in said, said
        assert not list((folder / "temporary").iterdir())
        assert set((folder / "hosts").read_text().split()) <= {"127.0.0.1", "localhost"}
