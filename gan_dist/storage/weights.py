"""Final weights: folders of safetensors and json that `from_pretrained` and `load_generator` read."""

import contextlib
import dataclasses
import json
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import ModelHubMixin
from safetensors import safe_open
from torch import nn

from gan_dist import atomic, models
from gan_dist.errors import UserError
from gan_dist.storage import hub
from gan_dist.storage.checkpoint import CheckpointError, load_into, read_state, verify_file
from gan_dist.storage.checkpoints import newest_first, newest_sound
from gan_dist.storage.tensors import save

logger = logging.getLogger(__name__)

DTYPES = {"float32": torch.float32, "float64": torch.float64}
RECORDED = ("recipe", "dataset", "clusters", "seed", "step", "model")
PATHS = ("recipe", "dataset", "model")  # may be paths
FIRST_SHAPE = (1, 28, 28)  # of the images of every data set when weights did not record it

CARD = """---
library_name: gan_dist
tags: [gan, {tag}]
---
`{model}` {role} of a GAN trained on {dataset}: recipe {recipe}, seed {seed}, step {step}.

{how} The weights are plain tensors, too, for safetensors.
"""
HOW = """`gan_dist.load_generator(folder)` loads a generator. Both networks load with `from_pretrained(folder)` of their
class in `gan_dist.models.{model}`."""
HOW_OWN = """`gan_dist.load_generator(folder, model="{model}")` loads a generator with the code of the
networks, of which the run has a copy, model.py."""


def save_weights(network: nn.Module, folder: Path, metadata: dict[str, str], role: str) -> None:
    """Write the weights with `metadata`, a model card and config.json, as a whole or not at all. role: of the network.

    config.json is for `from_pretrained`; without PyTorchModelHubMixin there is none.
    Raises OSError, and TypeError for tensors that the file cannot hold.
    """
    with atomic.new_folder(folder) as new:
        known = _without_paths(metadata)
        known["tag"] = json.dumps(known["dataset"])  # a folder may have a name with which yaml would end the list
        how = (HOW_OWN if models.is_own(metadata["model"]) else HOW).format(**known)
        (new / "README.md").write_text(CARD.format(role=role, how=how, **known))
        if isinstance(network, ModelHubMixin):
            # Not by save_pretrained: it would write the weights, too, and has no place for metadata.
            config = network._hub_mixin_config
            config = dataclasses.asdict(config) if dataclasses.is_dataclass(config) else config or {}
            (new / "config.json").write_text(json.dumps(config, sort_keys=True, indent=2))
        save(network.state_dict(), new / "model.safetensors", metadata)


class _NotNamed(UserError):
    """Networks that are somebody's own code."""


def load_generator(
    path: str | Path, model: str | Path | None = None, which: str = "last", revision: str | None = None
) -> nn.Module:
    """The generator of a run, a checkpoint or a weights folder, in eval mode, float32, on the CPU.

    Or of "user/name" on the Hugging Face Hub, if there is no such folder; revision: a branch, tag or commit of it.
    Of a run without final weights it is that of the newest sound checkpoint, which is logged. model: the file
    or module of networks that are not of this package; their code is run only if it is named here (RUN/model.py is a
    copy of it). which: "last", or "best" for the one that did best in the evaluations of a run.
    It has `latent_dim`, `image_shape`, `num_classes` (0 without labels), `trained_on`, the name of a data set,
    `run_seed`, `step` and `recorded`, a dict of what is known of its training, without paths of this machine; noise
    [N, latent_dim] and then labels [N] -> images [N, *image_shape] in [-1, 1]. Raises UserError.
    """
    folder = Path(os.path.expanduser(path))
    if not folder.exists() and hub.is_name(path):
        folder = hub.download(str(path), revision)
    elif revision is not None:
        raise UserError(f"revision {revision}: {path} is no repository of the Hub; leave it out")
    named = None if model is None else os.path.expanduser(model)

    def from_checkpoint(folder: Path) -> nn.Module:
        return _from_checkpoint(folder, named)

    try:
        if which == "best":
            if not (candidates := newest_first(folder / "best")):
                raise UserError(f"{path}: has no best generator, as it is no run that was evaluated; take the last one")
            return _from_weights(candidates[0], named)
        if (folder / "state.json").exists():
            return from_checkpoint(folder)
        if (folder / "generator").is_dir():
            return _from_weights(folder / "generator", named)
        if found := newest_sound(folder / "checkpoints", from_checkpoint):
            logger.info("%s has no final weights yet; this is from %s", path, found[0])
            return found[1]
        if (folder / "model.safetensors").is_file():
            return _from_weights(folder, named)
    except CheckpointError as error:
        raise UserError(f"{path}: {error}; name another, or train it anew") from None
    except _NotNamed as error:
        raise UserError(f"{path}: {error}") from None
    raise UserError(f"{path}: no generator there; name a run, one of its checkpoints or a folder of weights")


def _from_checkpoint(folder: Path, named: str | None) -> nn.Module:
    """Raises CheckpointError, or UserError for networks that must be named."""
    state = read_state(folder)
    with _telling("it cannot be loaded"):
        options = state["config"]
        # Early checkpoints do not have them all.
        arguments = state.get("arguments") or {
            "latent_dim": options["latent-dim"],
            "image_shape": FIRST_SHAPE,
            **models.read_arguments(options.get("model-args", [])),
        }
        generator = _make(options["model"], state["versions"].get("model"), named, arguments)
        generator.to(DTYPES[options["dtype"]])
        tensors = dict(generator.state_dict())
        name = "average" if "average.safetensors" in state["files"] else "generator"
        verify_file(folder / f"{name}.safetensors", state["files"][f"{name}.safetensors"], tensors)
        load_into(folder, {name: tensors})
    return _ready(generator, options | {"step": state["step"]})


def _from_weights(folder: Path, named: str | None) -> nn.Module:
    """Raises CheckpointError, or UserError for networks that must be named."""
    file = folder / "model.safetensors"
    with _telling(f"{folder.name} cannot be loaded"):
        with safe_open(file, "pt") as weights:
            metadata = weights.metadata() or {}
            tensors = {name: weights.get_tensor(name) for name in weights.keys()}  # noqa: SIM118  # not a dict
        # Weights of an early version have their arguments in config.json alone.
        arguments = json.loads(metadata.get("arguments") or (folder / "config.json").read_text())
        generator = _make(metadata.get("model"), metadata.get("model_version"), named, arguments)
        for name, tensor in generator.state_dict().items():
            types = (tensor.dtype, *DTYPES.values()) if tensor.is_floating_point() else (tensor.dtype,)
            if name in tensors and tensors[name].dtype not in types:
                raise CheckpointError(f"{file.name} has {name} in {tensors[name].dtype}")
        generator.load_state_dict(tensors, strict=True)
    return _ready(generator, metadata)


def _make(recorded: object, recorded_version: str | None, named: str | None, arguments: dict[str, Any]) -> nn.Module:
    """A generator of the pair that made the weights. Code that is not of this package must be `named`."""
    if not (isinstance(recorded, str) and recorded.isprintable()):  # a stranger's may be meant for the terminal
        raise CheckpointError("it does not say which networks made it")
    if named is None and models.is_own(recorded):
        words = "which is no part of gan_dist; name that code to have it run (a run has a copy, model.py)"
        raise _NotNamed(f"made by --model {recorded}, {words}")
    module = models.load(named or recorded)
    if recorded_version and recorded_version != models.version(module):
        logger.warning("%s is not what it was when these weights were made", named or recorded)
    with torch.random.fork_rng(devices=[]):  # somebody's script may draw numbers of its own before and after
        generator = models.build(module.Generator, arguments)
    if not hasattr(generator, "latent_dim"):
        generator.latent_dim = arguments["latent_dim"]
    generator.num_classes = arguments.get("num_classes", 0)
    generator.image_shape = tuple(arguments.get("image_shape", FIRST_SHAPE))
    return generator


def _without_paths(metadata: Mapping[str, str]) -> dict[str, str]:
    """The same for others to see: no path of this machine, but the last part of it."""
    return {name: Path(value).name if name in PATHS else value for name, value in metadata.items()}


@contextlib.contextmanager
def _telling(words: str) -> Iterator[None]:
    """Turn whatever goes wrong inside into a CheckpointError: what a file says goes to the constructor of a network."""
    try:
        yield
    except (CheckpointError, UserError):
        raise
    except Exception as error:
        raise CheckpointError(f"{words} ({models.told(error)})") from None


def _ready(generator: nn.Module, options: Mapping[str, Any]) -> nn.Module:
    """options: what is recorded of those of the run."""
    generator.trained_on = options.get("dataset")  # type: ignore[assignment]
    generator.run_seed = options.get("seed", 0)
    generator.step = options.get("step", 0)
    generator.has_clusters = options.get("clusters") not in (None, "None")  # type: ignore[assignment]
    recorded = {name: str(options[name]) for name in RECORDED if options.get(name) not in (None, "None")}
    generator.recorded = _without_paths(recorded)  # type: ignore[assignment]
    generator.float().eval()
    for name, tensor in generator.state_dict().items():
        if not torch.isfinite(tensor).all():
            raise CheckpointError(f"{name} is not finite")
    return generator
