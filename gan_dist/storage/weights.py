"""Final weights: folders of safetensors and json that `from_pretrained` and `load_generator` read."""

import contextlib
import io
import json
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from gan_dist import models
from gan_dist.errors import UserError
from gan_dist.storage.checkpoint import TYPES, CheckpointError, load_into, read_state, verify_file
from gan_dist.storage.checkpoints import newest_sound

DTYPES = {"float32": torch.float32, "float64": torch.float64}

CARD = """---
library_name: gan_dist
tags: [gan, {dataset}]
---
`{model}` {role} of a GAN trained on {dataset}: recipe {recipe}, seed {seed}, step {step}.

`gan_dist.load_generator(folder)` loads a generator. Both networks load with `from_pretrained(folder)` of their
class in `gan_dist.models.{model}`, or as plain tensors with safetensors.
"""


def save_weights(network: nn.Module, folder: Path, metadata: dict[str, str]) -> None:
    """Write the weights with `metadata`, config.json and a model card, as a whole or not at all. Raises OSError."""
    new, old = folder.with_name(f".{folder.name}.new"), folder.with_name(f".{folder.name}.old")
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)
    try:
        new.mkdir()
        (new / "README.md").write_text(CARD.format(role=folder.name, **metadata))
        network.save_pretrained(new)  # type: ignore[operator]
        # Once more, since save_pretrained has no place for metadata.
        state = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
        save_file(state, new / "model.safetensors", metadata)
        if folder.exists():
            os.replace(folder, old)
        os.replace(new, folder)
        shutil.rmtree(old, ignore_errors=True)
    except SafetensorError as error:  # how safetensors tells of a full disk
        raise OSError(str(error)) from None
    finally:
        shutil.rmtree(new, ignore_errors=True)


def load_generator(path: str | Path) -> nn.Module:
    """The generator of a run, a checkpoint or a weights folder, in eval mode, float32, on the CPU.

    Of a run without final weights it is that of the newest sound checkpoint, which is said on stderr.
    It has `latent_dim`; noise [N, latent_dim] -> images [N, 1, 28, 28] in [-1, 1]. Raises UserError.
    """
    folder = Path(os.path.expanduser(path))
    try:
        if (folder / "state.json").exists():
            return _from_checkpoint(folder)
        if (folder / "generator").is_dir():
            return _from_weights(folder / "generator")
        if found := newest_sound(folder / "checkpoints", _from_checkpoint):
            print(f"{path} has no final weights yet; this is from {found[0]}", file=sys.stderr)
            return found[1]
        if (folder / "model.safetensors").is_file():
            return _from_weights(folder)
    except CheckpointError as error:
        raise UserError(f"{path}: {error}; name another, or train it anew") from None
    raise UserError(f"{path}: no generator there; name a run, one of its checkpoints or a folder of weights")


def _from_checkpoint(folder: Path) -> nn.Module:
    """Raises CheckpointError."""
    state = read_state(folder)
    options = state["config"]
    try:
        generator = _pair(options["model"]).Generator(latent_dim=options["latent-dim"])
        tensors = dict(generator.to(DTYPES[options["dtype"]]).state_dict())
        verify_file(folder / "generator.safetensors", state["files"]["generator.safetensors"], tensors)
        load_into(folder, {"generator": tensors})
    except CheckpointError:
        raise
    except Exception as error:  # options made by somebody else go to the constructor of a network
        raise CheckpointError(f"it cannot be loaded ({_words(error)})") from None
    return _ready(generator)


def _from_weights(folder: Path) -> nn.Module:
    """Raises CheckpointError."""
    file = folder / "model.safetensors"
    try:
        json.loads((folder / "config.json").read_text())  # without one from_pretrained takes what it likes
        with safe_open(file, "pt") as weights:
            types = {name: weights.get_slice(name).get_dtype() for name in weights.keys()}  # noqa: SIM118  # not a dict
            model = (weights.metadata() or {}).get("model")
        with contextlib.redirect_stdout(io.StringIO()):  # it prints
            generator = _pair(model).Generator.from_pretrained(folder, strict=True)
    except CheckpointError:
        raise
    except Exception as error:  # what config.json holds goes to the constructor of a network
        raise CheckpointError(f"{folder.name} cannot be loaded ({_words(error)})") from None
    for name, tensor in generator.state_dict().items():
        if types[name] not in (("F32", "F64") if tensor.is_floating_point() else (TYPES[tensor.dtype],)):
            raise CheckpointError(f"{file.name} has {name} in {types[name]}")
    return _ready(generator)


def _pair(model: object) -> ModuleType:
    if model not in models.names():
        raise CheckpointError(f"made by model {model!r}, which is no file in gan_dist/models")
    return models.load(str(model))


def _ready(generator: nn.Module) -> nn.Module:
    generator.float().eval()
    for name, tensor in generator.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise CheckpointError(f"{name} is not finite")
    return generator


def _words(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
