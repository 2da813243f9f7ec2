"""A notebook's kernel, as Jupyter starts it."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager

WAIT_SECONDS = 120


class Notebook:
    """`with Notebook(folder) as notebook:` runs cells one after the other in one process, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kernel = KernelManager()

    def __enter__(self) -> "Notebook":
        self.kernel.start_kernel(cwd=str(self.folder))
        self.client = self.kernel.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=WAIT_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self.client.stop_channels()
        self.kernel.shutdown_kernel(now=True)

    def run(self, cell: str, interrupt_when: Callable[[str], bool] | None = None) -> str:
        """Run a cell -> what stands under it: what was printed, values, pictures as <PNG>, the error.

        interrupt_when: press the stop button as soon as this holds of the output so far.
        """
        shown: list[str] = []

        def show(message: dict[str, Any]) -> None:
            content = message["content"]
            if message["msg_type"] == "stream":
                shown.append(content["text"])
            elif message["msg_type"] in ("execute_result", "display_data"):
                shown.append("<PNG>\n" if "image/png" in content["data"] else content["data"]["text/plain"] + "\n")
            elif message["msg_type"] == "error":
                shown.append(f"{content['ename']}: {content['evalue']}\n")
            if interrupt_when and not pressed.is_set() and interrupt_when("".join(shown)):
                pressed.set()
                self.kernel.interrupt_kernel()

        pressed = threading.Event()
        self.client.execute_interactive(cell, timeout=WAIT_SECONDS, output_hook=show)
        return "".join(shown)
