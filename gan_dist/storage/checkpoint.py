"""One checkpoint: a folder of safetensors and a state.json with their checksums. No pickle.

A folder under its final name is whole: it is written beside it, synced and then renamed. A folder made by a
stranger is safe to load: names, types, shapes and sizes are compared with what the run expects before anything is read
into memory, and no path in it is followed.
"""

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

Tensors = Mapping[str, Mapping[str, Tensor]]  # {file name without ending: {tensor name: tensor}}

FORMAT = 1
MAX_JSON = 1 << 20  # bytes
MAX_HEADER = 256  # bytes for each tensor's name, type, shape and place, at most
TYPES = {torch.float32: "F32", torch.float64: "F64", torch.int64: "I64"}
KEYS = {
    "format",
    "step",
    "epoch",
    "images_seen",
    "config",
    "precision",
    "scalers",
    "world_size",
    "versions",
    "trackers",
}


class CheckpointError(Exception):
    """A checkpoint that cannot be used; the message says why."""


def write(folder: Path, tensors: Tensors, state: Mapping[str, Any]) -> None:
    """Write a checkpoint as a whole or not at all; one of that name is replaced. Raises OSError."""
    new = folder.with_name(f".new_{folder.name}")
    shutil.rmtree(new, ignore_errors=True)
    try:
        new.mkdir()  # not its parents: where a disk has vanished, nothing may be written in its place
        files = {}
        for name, group in tensors.items():
            file = new / f"{name}.safetensors"
            save_file(dict(group), file)
            _sync(file)
            files[file.name] = {"size": file.stat().st_size, "sha256": _sha256(file)}
        content = {"format": FORMAT, **state, "files": files}
        text = json.dumps(content | {"checksum": _checksum(content)}, indent=1)
        (new / "state.json").write_text(text)
        _sync(new / "state.json")
        _sync(new)
        remove(folder)
        os.replace(new, folder)
        _sync(folder.parent)
    except SafetensorError as error:  # how safetensors tells of a full disk
        raise OSError(str(error)) from None
    finally:
        shutil.rmtree(new, ignore_errors=True)


def remove(folder: Path) -> None:
    """Delete a checkpoint, so that no half of it is ever seen under its name. Raises OSError."""
    if folder.exists():
        trash = folder.with_name(f".old_{folder.name}")
        shutil.rmtree(trash, ignore_errors=True)
        os.replace(folder, trash)
        shutil.rmtree(trash, ignore_errors=True)


def clean(folder: Path) -> None:
    """Delete what a killed `write` or `remove` left in the folder of the checkpoints."""
    for leftover in [*folder.glob(".new_*"), *folder.glob(".old_*")]:
        shutil.rmtree(leftover, ignore_errors=True)


def copy(source: Path, folder: Path) -> None:
    """Copy a verified checkpoint as a whole or not at all; one of that name is replaced. Raises OSError."""
    new = folder.with_name(f".new_{folder.name}")
    shutil.rmtree(new, ignore_errors=True)
    try:
        shutil.copytree(source, new)
        for path in (*new.iterdir(), new):
            _sync(path)
        remove(folder)
        os.replace(new, folder)
        _sync(folder.parent)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def read_state(folder: Path) -> dict[str, Any]:
    """The content of state.json, with every field checked for its type. Raises CheckpointError."""
    try:
        text = _regular(folder / "state.json", MAX_JSON).read_bytes()
        content = json.loads(text)
        checksum = content.pop("checksum")
        if checksum != _checksum(content):
            raise CheckpointError("state.json does not match its own checksum")
        files = content.pop("files")
        if content.keys() != KEYS or content["format"] != FORMAT:
            raise CheckpointError(f"state.json is not of format {FORMAT}")
        counts = [content[key] for key in ("step", "epoch", "images_seen", "world_size")]
        counts += [file["size"] for file in files.values()]
        if not all(type(count) is int and 0 <= count < 2**63 for count in counts):
            raise CheckpointError("state.json has a count that is no number")
        objects = [content[key] for key in ("config", "scalers", "versions", "trackers")]
        numbers = [number for scaler in content["scalers"].values() for number in scaler.values()]
        if not all(type(number) in (int, float) for number in numbers):
            raise CheckpointError("state.json has a loss scaler that is no number")
        if not all(isinstance(each, dict) for each in objects) or not isinstance(content["precision"], str):
            raise CheckpointError("state.json has a field of a wrong type")
        return content | {"files": files}
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
        limit = sum(t.nbytes + MAX_HEADER for t in expected.values()) + MAX_HEADER
        size = _regular(path, limit).stat().st_size
        if size != recorded["size"]:
            raise CheckpointError(f"{path.name} has {size} bytes, not {recorded['size']}")
        if _sha256(path) != recorded.get("sha256"):
            raise CheckpointError(f"{path.name} does not have the SHA-256 that state.json says")
        verify_tensors(path, expected)
    except OSError as error:
        raise CheckpointError(f"{path.name} cannot be read ({error.strerror})") from None
    except SafetensorError as error:
        raise CheckpointError(f"{path.name} is no safetensors file ({error})") from None


def verify_tensors(path: Path, expected: Mapping[str, Tensor]) -> None:
    """Compare names, types and shapes in a safetensors file with `expected`.

    Raises CheckpointError, OSError, SafetensorError.
    """
    with safe_open(path, "pt") as file:
        slices = {key: file.get_slice(key) for key in file.keys()}  # noqa: SIM118  # not a dict
        found = {key: (s.get_dtype(), tuple(s.get_shape())) for key, s in slices.items()}
    wanted = {key: (TYPES[t.dtype], tuple(t.shape)) for key, t in expected.items()}
    if found != wanted:
        wrong = sorted(key for key in found.keys() | wanted.keys() if found.get(key) != wanted.get(key))
        raise CheckpointError(f"{path.name} has other tensors than expected: {', '.join(wrong[:3])}")


@torch.no_grad()
def load_into(folder: Path, tensors: Tensors) -> None:
    """Copy a verified checkpoint into `tensors`, in place."""
    for name, group in tensors.items():
        with safe_open(folder / f"{name}.safetensors", "pt") as file:
            for key, tensor in group.items():
                tensor.copy_(file.get_tensor(key))


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


def _sync(path: Path) -> None:
    """Bring a file or a folder to the disk, so that a rename after it cannot outrun it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
