"""One checkpoint: a folder of safetensors and a state.json with their checksums. No pickle.

state.json has the format's number, the step, size and SHA-256 of each file and a checksum of its own; the rest is
the writer's own content.
A folder under its final name is whole: it is written beside it, synced and then renamed. A folder made by a
stranger is safe to load: names, types, shapes and sizes are compared with what the run expects before anything is read
into memory, and no path in it is followed.
"""

import hashlib
import json
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import Tensor

from gan_dist import atomic
from gan_dist.storage import tensors as tensor_files

Tensors = Mapping[str, Mapping[str, Tensor]]  # {file name without ending: {tensor name: tensor}}

FORMAT = 1
MAX_JSON = 1 << 20  # bytes
MAX_HEADER = 256  # bytes for each tensor's type, shape and place, at most


class CheckpointError(Exception):
    """A checkpoint that cannot be used; the message says why."""


def write(folder: Path, tensors: Tensors, state: Mapping[str, Any]) -> None:
    """Write a checkpoint as a whole or not at all; one of that name is replaced.

    state: what json can hold, `step` among it. Raises OSError, and TypeError for what the files cannot hold.
    """
    with atomic.new_folder(folder) as new:
        files = {}
        for name, group in tensors.items():
            file = new / f"{name}.safetensors"
            tensor_files.save(group, file)
            files[file.name] = {"size": file.stat().st_size, "sha256": _sha256(file)}
        content = {"format": FORMAT, **state, "files": files}
        text = json.dumps(content | {"checksum": _checksum(content)}, indent=1)
        (new / "state.json").write_text(text)


def copy(source: Path, folder: Path) -> None:
    """Copy a verified checkpoint as a whole or not at all; one of that name is replaced. Raises OSError."""
    with atomic.new_folder(folder) as new:
        for file in source.iterdir():
            if stat.S_ISREG(file.lstat().st_mode):  # what else may lie there is no part of it
                shutil.copyfile(file, new / file.name)


def read_state(folder: Path) -> dict[str, Any]:
    """The content of state.json: `step` and `files` are checked, the rest is as it was given to `write`.

    Raises CheckpointError.
    """
    try:
        text = _regular(folder / "state.json", MAX_JSON).read_bytes()
        content = json.loads(text)
        checksum = content.pop("checksum")
        if checksum != _checksum(content):
            raise CheckpointError("state.json does not match its own checksum")
        if content["format"] != FORMAT:
            raise CheckpointError(f"state.json is not of format {FORMAT}")
        counts = [content["step"], *(file["size"] for file in content["files"].values())]
        if not all(type(count) is int and 0 <= count < 2**63 for count in counts):
            raise CheckpointError("state.json has a count that is no number")
        return content
    except OSError as error:
        raise CheckpointError(f"state.json cannot be read ({error.strerror})") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"state.json is damaged ({type(error).__name__})") from None


def verify(folder: Path, state: Mapping[str, Any], expected: Tensors) -> None:
    """Check every file against state.json, and every tensor's name, type and shape against `expected`.

    Raises CheckpointError.
    """
    if state["files"].keys() != {f"{name}.safetensors" for name in expected}:
        raise CheckpointError(f"state.json names the files {sorted(state['files'])}")
    for name, group in expected.items():
        verify_file(folder / f"{name}.safetensors", state["files"][f"{name}.safetensors"], group)


def verify_file(path: Path, recorded: Mapping[str, Any], expected: Mapping[str, Tensor]) -> None:
    """The same for one file, of which state.json has `recorded` size and SHA-256. Raises CheckpointError."""
    try:
        limit = sum(t.nbytes + 6 * len(name) + MAX_HEADER for name, t in expected.items()) + MAX_HEADER
        size = _regular(path, limit).stat().st_size
        if size != recorded["size"]:
            raise CheckpointError(f"{path.name} has {size} bytes, not {recorded['size']}")
        if _sha256(path) != recorded.get("sha256"):
            raise CheckpointError(f"{path.name} does not have the SHA-256 that state.json says")
        if wrong := tensor_files.unlike(path, expected):
            raise CheckpointError(f"{path.name} has other tensors than expected: {', '.join(wrong[:3])}")
    except OSError as error:
        raise CheckpointError(f"{path.name} cannot be read ({error.strerror})") from None
    except SafetensorError as error:
        raise CheckpointError(f"{path.name} is no safetensors file ({error})") from None


def load_into(folder: Path, tensors: Tensors) -> None:
    """Copy a verified checkpoint into `tensors`, in place."""
    for name, group in tensors.items():
        tensor_files.load_into(folder / f"{name}.safetensors", group)


def _regular(file: Path, max_size: int) -> Path:
    """The path, if it is a plain file (no link, no pipe) of at most `max_size` bytes."""
    status = file.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise CheckpointError(f"{file.name} is not a plain file")
    if status.st_size > max_size:
        raise CheckpointError(f"{file.name} has {status.st_size} bytes, more than the {max_size} that fit this run")
    return file


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while block := content.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
