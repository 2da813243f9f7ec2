"""A generator as one ONNX file: `python -m gan_dist.export RUN [--out FILE.onnx] [--which best]`."""

import contextlib
import io
import json
import logging
import os
import sys
import warnings
from argparse import Namespace
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from gan_dist import __version__, atomic
from gan_dist.arguments import Parser, check_parent
from gan_dist.errors import UserError, exit_code
from gan_dist.invocation import COMMANDS, command

if TYPE_CHECKING:
    from torch import nn

PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def main() -> int:
    parser = Parser(prog=command("export"), description=COMMANDS["export"])
    parser.add_argument("weights", help="run folder, checkpoint, or a folder with model.safetensors")
    parser.add_argument("--which", choices=("last", "best"), default="last", help="generator of a run [%(default)s]")
    parser.add_argument(
        "--out", metavar="FILE.onnx", help="the file to write [RUN/generator.onnx, of the best RUN/generator_best.onnx]"
    )
    parser.add_argument("--model", metavar="FILE.py", help="the networks, if they are not of gan_dist: RUN/model.py")
    options = parser.parse_args()
    out = _place(options)
    if missing := " ".join(name for name in PACKAGES if find_spec(name) is None):
        raise UserError(f"export needs packages that are not here; pip install {missing}")

    from gan_dist import models  # here, so that --help and errors do not wait for torch
    from gan_dist.storage.weights import load_generator

    generator = load_generator(options.weights, options.model, options.which)
    from gan_dist.storage.onnx_file import ROWS, export

    try:
        with _quiet():
            content, difference = export(generator, _metadata(generator, options))
    except Exception as error:  # of the exporter, of onnxruntime, of somebody's code
        told = error if isinstance(error, UserError) else models.told(_first_cause(error))
        raise UserError(f"{options.weights}: its generator cannot be exported to ONNX ({told})") from None
    try:
        atomic.write_file(out, content)
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written ({error.strerror}); name another file") from None
    rows = ", ".join(map(str, ROWS))
    print(f"{out}: {len(content) / 1e6:.2f} MB, largest difference to PyTorch {difference:.1e} (batches of {rows})")
    return 0


def _place(options: Namespace) -> Path:
    """The file to write. Raises UserError."""
    run = Path(os.path.expanduser(options.weights))
    if not options.out:
        if run.is_dir() and not _is_run(run):
            raise UserError(f"{options.weights}: is no run folder; say --out FILE.onnx")
        return run / ("generator.onnx" if options.which == "last" else "generator_best.onnx")
    out = Path(os.path.expanduser(options.out))
    if out.suffix != ".onnx" or out.is_dir():
        raise UserError(f"--out {options.out}: must be the name of an .onnx file")
    check_parent("--out", options.out, out)
    return out


def _is_run(folder: Path) -> bool:
    return (folder / "config.yaml").is_file()


def _metadata(generator: "nn.Module", options: Namespace) -> dict[str, str]:
    """What goes into the file: nothing in it is a path of this machine."""
    known = {name: json.dumps(getattr(generator, name)) for name in ("latent_dim", "image_shape", "num_classes")}
    for name, frequencies in generator.named_buffers():
        if name == "class_frequencies":
            known[name] = json.dumps([round(frequency, 6) for frequency in frequencies.tolist()])
    if _is_run(Path(os.path.expanduser(options.weights))):
        known["which"] = options.which
    return {"gan_dist": __version__, **generator.recorded, **known}  # type: ignore[dict-item]


def _first_cause(error: BaseException) -> BaseException:
    while error.__cause__:
        error = error.__cause__
    return error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """torch's exporter prints, logs and warns of what concerns nobody here: an error is an exception as well."""
    logging.disable()
    try:
        silence = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
        with silence[0], silence[1], warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)


if __name__ == "__main__":
    sys.exit(exit_code(main))
