"""Pairs of networks: one file is one pair, with the classes `Generator` and `Discriminator`.

Both are made with what their constructors take of: latent_dim (int), image_shape (channels, height, width), num_classes
(0 without --conditional), and the --model-args of a run.
Generator: noise [N, latent_dim] -> images [N, *image_shape] in [-1, 1].
Discriminator: images [N, *image_shape] -> logits, N of them, above 0 for "real".
With --conditional both take labels, int64 [N], as well.
"""

import ast
import hashlib
import importlib
import importlib.util
import inspect
import json
import os
import pkgutil
import sys
import textwrap
import traceback
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from gan_dist.errors import UserError

CLASSES = ("Generator", "Discriminator")
LONGEST = 300  # characters of what somebody's code or a library says, in a line
LIBRARIES = tuple(
    os.path.join(folder, "")
    for package in ("gan_dist", "torch")
    for folder in importlib.util.find_spec(package).submodule_search_locations  # type: ignore[union-attr]
)


def names() -> list[str]:
    """The pairs that come with this package: the files whose names begin with no underscore."""
    return [module.name for module in pkgutil.iter_modules(__path__) if module.name[0] != "_"]


def is_own(name: str) -> bool:
    """Whether `name` is code of somebody's own, and not a pair that comes with this package."""
    return name not in names()


def check(name: str) -> None:
    """Raise UserError if there is no such pair. Runs nobody's code."""
    if name.endswith(".py"):
        found = Path(name).is_file()
    elif is_own(name):
        if os.getcwd() not in sys.path:
            sys.path.append(os.getcwd())  # as `python -m` has it
        found = "." in name and importlib.util.find_spec(name.partition(".")[0]) is not None
    else:
        found = True
    if not found:
        raise UserError(f"--model {name}: no such pair; take {', '.join(names())}, a FILE.py or a PACKAGE.MODULE")


def load(name: str) -> ModuleType:
    """The module of a pair: one of `names()`, a FILE.py or a PACKAGE.MODULE, whose code is run.

    Raises UserError for one that is not there, fails, or lacks a class.
    """
    check(name)
    try:
        module = _load_file(Path(name)) if name.endswith(".py") else importlib.import_module(_full(name))
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # whatever somebody's code does
        raise UserError(f"--model {name}: cannot be imported ({told(error)})") from None
    for missing in (kind for kind in CLASSES if not isinstance(getattr(module, kind, None), type)):
        raise UserError(f"--model {name}: has no class {missing}")
    return module


def build(kind: type, offered: Mapping[str, Any]) -> Any:
    """An instance, made with those of the `offered` arguments that its constructor names."""
    return kind(**arguments(kind, offered))


def missing_arguments(kind: type, offered: Mapping[str, Any]) -> list[str]:
    """Those that a constructor cannot do without and that are not `offered`."""
    _, *taken = inspect.signature(kind.__init__).parameters.values()  # type: ignore[misc]
    needed = [p.name for p in taken if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    return [name for name in needed if name not in offered]


def arguments(kind: type, offered: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the `offered` arguments that the constructor of a class names."""
    taken = inspect.signature(kind.__init__).parameters  # type: ignore[misc]
    return {name: value for name, value in offered.items() if name in taken}


def read_arguments(words: Iterable[str]) -> dict[str, Any]:
    """NAME=VALUE words by name, with values as yaml reads them. Raises UserError."""
    read = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name.isidentifier() and equals):
            raise UserError(f"--model-args {word}: must be NAME=VALUE")
        try:
            read[name] = yaml.safe_load(value)
            json.dumps(read[name])  # it is recorded beside the weights
        except (yaml.YAMLError, TypeError):
            raise UserError(f"--model-args {word}: the value must be a number, a word or a list in yaml") from None
    return read


def code_of(module: ModuleType) -> bytes:
    """The source file of a pair; b"" for one without."""
    return Path(module.__file__).read_bytes() if module.__file__ else b""


def version(module: ModuleType) -> str:
    """SHA-256 of the source file of a pair."""
    return hashlib.sha256(code_of(module)).hexdigest()


def told(error: BaseException) -> str:
    """An exception of somebody's code in one line, with the last place in that code, and not in a library."""
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if not frame.filename.startswith((*LIBRARIES, "<"))]
    place = (
        f", {theirs[-1].filename}:{theirs[-1].lineno}" if theirs and not isinstance(error, SyntaxError) else ""
    )  # it says it
    words = f"{type(error).__name__}: {error}"
    return textwrap.shorten(words, LONGEST, placeholder=" ...") + place


def _full(name: str) -> str:
    return name if is_own(name) else f"{__name__}.{name}"


def _load_file(file: Path) -> ModuleType:
    """Under a name of its own; the file may import its neighbours, as if it had been run."""
    if line := next(_program(ast.parse(file.read_bytes(), file.name)), 0):
        words = "trains or reads a command line on import; keep the classes, or put it under if __name__ == '__main__'"
        raise UserError(f"--model {file}: line {line} {words}")
    folder = str(file.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    name = f"gan_dist_own_{hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and others look there
    spec.loader.exec_module(module)
    return module


def _program(tree: ast.AST) -> Iterator[int]:
    """The lines that train or read a command line as soon as a file is imported."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda):
            continue  # runs later, if at all
        if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Attribute) and node.attr in ("parse_args", "backward"):
            yield node.lineno
        yield from _program(node)
