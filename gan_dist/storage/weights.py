"""Final weights: folders of safetensors and json that `from_pretrained` and `load_generator` read."""

import contextlib
import dataclasses
import io
import json
import os
import sys
from pathlib import Path
from types import ModuleType

import torch
from huggingface_hub import ModelHubMixin
from safetensors import safe_open
from torch import nn

from gan_dist import atomic, models
from gan_dist.errors import UserError
from gan_dist.storage.checkpoint import CheckpointError, load_into, read_state, verify_file
from gan_dist.storage.checkpoints import newest_sound
from gan_dist.storage.tensors import TYPES, save

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
    """Write the weights with `metadata`, a model card and config.json, as a whole or not at all.

    config.json has the constructor's arguments; without PyTorchModelHubMixin nobody knows them, and there is none.
    Raises OSError, and TypeError for tensors that the file cannot hold.
    """
    with atomic.new_folder(folder) as new:
        (new / "README.md").write_text(CARD.format(role=folder.name, **metadata))
        if isinstance(network, ModelHubMixin):
            # Not by save_pretrained: it would write the weights, too, and has no place for metadata.
            config = network._hub_mixin_config
            config = dataclasses.asdict(config) if dataclasses.is_dataclass(config) else config or {}
            (new / "config.json").write_text(json.dumps(config, sort_keys=True, indent=2))
        save(network.state_dict(), new / "model.safetensors", metadata)


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
    try:
        options = state["config"]
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
            # With strict=True it refuses a second name of shared weights.
            generator = _pair(model).Generator.from_pretrained(folder)
        if wrong := sorted(types.keys() ^ generator.state_dict().keys()):
            raise CheckpointError(f"{file.name} has other tensors than the generator: {', '.join(wrong[:3])}")
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
