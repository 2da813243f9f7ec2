"""A page to play with a generator: `python -m gan_dist.demo RUN`, then open the address that it prints."""

import contextlib
import importlib.util
import os
import signal
import socket
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from gan_dist.arguments import Parser
from gan_dist.config.parsing import read_whole
from gan_dist.errors import UserError, exit_code, exit_now
from gan_dist.invocation import COMMANDS, command

if TYPE_CHECKING:
    import gradio

OFFLINE = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}


def main() -> int:
    parser = Parser(prog=command("demo"), description=COMMANDS["demo"])
    parser.add_argument("weights", help="run folder, checkpoint, or a folder with model.safetensors")
    parser.add_argument("--port", default="7860", help="[%(default)s]")
    parser.add_argument("--host", default="127.0.0.1", help="where it can be opened from [%(default)s: this machine]")
    parser.add_argument("--open", action="store_true", help="open it in the browser")
    parser.add_argument("--model", metavar="FILE.py", help="the networks, if they are not of gan_dist: RUN/model.py")
    options = parser.parse_args()
    port = read_whole("--port", options.port)
    if not 0 < port < 2**16:
        raise UserError(f"--port {port}: must be from 1 to 65535")
    _check_free(options.host, port)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the folder is removed, too
    with tempfile.TemporaryDirectory(prefix="gan_dist_demo_", ignore_cleanup_errors=True) as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder  # pictures that were shown
        known = os.environ.get("no_proxy") or os.environ.get("NO_PROXY", "")
        os.environ["no_proxy"] = f"{known},localhost,{options.host}"  # Gradio asks its own server whether it is there
        page = build(options.weights, options.model)
        from gan_dist.playground.page import THEME

        with contextlib.suppress(KeyboardInterrupt):
            try:
                page.launch(
                    theme=THEME,
                    server_name=options.host,
                    server_port=port,
                    inbrowser=options.open,
                    prevent_thread_lock=True,
                    quiet=True,
                    share=False,
                    ssr_mode=False,
                    run_history=False,
                    footer_links=["api"],
                )
            except OSError:  # another program was quicker
                _check_free(options.host, port)
                raise
            print(f"{page.local_url} (Ctrl-C ends it)")
            threading.Event().wait()
    exit_now(0)  # Gradio's server waits for seconds as long as a page is open


def build(path: str | Path, model: str | Path | None = None) -> "gradio.Blocks":
    """The page of a run, a checkpoint or a folder of weights, as `load_generator` takes them. Raises UserError.

    It is Gradio's: `gan_dist.demo.build("generator").launch()` is the program of a Hugging Face Space.
    """
    if not importlib.util.find_spec("gradio"):
        raise UserError("the page needs gradio; pip install gradio")
    os.environ.update(OFFLINE)  # before gradio is imported

    from gan_dist.playground.generators import load_all

    generators = load_all(path, model)

    from gan_dist.playground import page  # takes seconds

    return page.build(Path(os.path.abspath(os.path.expanduser(path))).name, generators)


def _check_free(host: str, port: int) -> None:
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        raise UserError(f"--host {host} --port {port}: cannot be used ({error.strerror}); name others") from None


if __name__ == "__main__":
    sys.exit(exit_code(main))
