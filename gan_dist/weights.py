"""Final weights: folders of safetensors and json that `from_pretrained` and `load_generator` read."""

import os
import shutil
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from gan_dist import models
from gan_dist.errors import UserError

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
    """The generator of a run folder or a weights folder, in eval mode, float32, on the CPU.

    It has `latent_dim`; noise [N, latent_dim] -> images [N, 1, 28, 28] in [-1, 1]. Raises UserError.
    """
    folder = Path(path)
    if (folder / "generator").is_dir():
        folder /= "generator"
    file = folder / "model.safetensors"
    if not file.is_file():
        raise UserError(f"{path}: no generator there; name a run folder or one with model.safetensors")
    try:
        with safe_open(file, "pt") as weights:
            model = (weights.metadata() or {}).get("model", "")
        if model not in models.names():
            raise UserError(f"{file}: made by model {model!r}, which is no file in gan_dist/models")
        return models.load(model).Generator.from_pretrained(folder).eval()
    except (OSError, SafetensorError, RuntimeError, TypeError) as error:  # not what save_weights wrote
        raise UserError(f"{folder}: cannot be loaded ({' '.join(str(error).split())}); train it anew") from None
