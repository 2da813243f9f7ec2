"""The folder that is published of a run: weights, card, picture, figures, options; no path of this machine."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import get_token
from safetensors import safe_open
from torch import nn

from gan_dist import models
from gan_dist.data.dataset import NAMES
from gan_dist.data.sources import SOURCES
from gan_dist.drawing.images import Drawing
from gan_dist.errors import UserError, reason
from gan_dist.evaluation.evaluator import describe
from gan_dist.evaluation.features import IMAGE_SHAPE, load_extractor
from gan_dist.sharing.card import NUM_IMAGES, PICTURE, Facts, card
from gan_dist.storage.checkpoints import newest_first
from gan_dist.storage.metrics_file import read_rows
from gan_dist.storage.run_folder import CODE, OPTIONS
from gan_dist.storage.tensors import save
from gan_dist.storage.weights import load_generator
from gan_dist.tracking.names import EVAL, MEASURED

NEEDED = ("batch-size", "dataset", "eval-images", "objective")  # options that the card tells


def fill(folder: Path, run: Path, name: str, which: str, model: str | None) -> None:
    """Write all that is published of a run as the repository `name` into an empty folder.

    which: "last" or "best". model: the code of networks that are not of gan_dist, which is run. Raises UserError, also
    if a file would have a path of this machine or a token in it.
    """
    try:
        options = yaml.safe_load((run / OPTIONS).read_text())
        rows = [row for row in read_rows(run / "metrics.jsonl") if _figures(row)]
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        raise UserError(f"{run}: cannot be read ({reason(error)}); name another run") from None
    missing = [name for name in NEEDED if not isinstance(options, dict) or name not in options]
    if missing:
        raise UserError(f"{run / OPTIONS}: has no {', '.join(missing)}; name another run")
    weights = _weights(run, which)
    generator = load_generator(weights, model)
    metadata = _copy_weights(weights, folder, generator)
    bare = {option: _bare(value) for option, value in options.items() if option != "data-dir"}
    bare["dataset"] = metadata["dataset"]
    if metadata["model"] == CODE:
        bare["model"] = CODE
        shutil.copyfile(run / CODE, folder / CODE)
    (folder / OPTIONS).write_text(yaml.safe_dump(bare, sort_keys=False))
    Drawing(generator).picture(NUM_IMAGES).save(folder / PICTURE)
    evaluation = _evaluation(rows, int(metadata["step"]), options, generator)
    if evaluation:
        (folder / "evaluation.json").write_text(json.dumps(evaluation, indent=2) + "\n")
    facts = Facts(name, generator, bare, metadata, evaluation, len(rows), which == "best", options["dataset"] in NAMES)
    (folder / "README.md").write_text(card(facts))
    _check(folder, run)


def _weights(run: Path, which: str) -> Path:
    weights = run / "generator" if which == "last" else next(iter(newest_first(run / "best")), run / "best")
    if (weights / "model.safetensors").is_file():
        return weights
    if which == "best":
        raise UserError(f"--which best: {run} was never evaluated; take the last one")
    raise UserError(f"{run}: has no final weights yet; train it to its end, or take --which best")


def _copy_weights(weights: Path, folder: Path, generator: nn.Module) -> dict[str, str]:
    """-> the metadata that the copy has."""
    with safe_open(weights / "model.safetensors", "pt") as file:
        metadata = file.metadata() or {}
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # not a dict
    known = {"dataset": str(generator.trained_on), "recipe": "unknown", "seed": str(generator.run_seed), "step": "0"}
    metadata = known | metadata
    metadata["dataset"] = Path(metadata["dataset"]).name
    if models.is_own(metadata["model"]):
        metadata["model"] = CODE
    if "arguments" in metadata:
        metadata["arguments"] = json.dumps(_bare(json.loads(metadata["arguments"])))
    save(tensors, folder / "model.safetensors", metadata)
    if (weights / "config.json").is_file():
        config = json.loads((weights / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(_bare(config), sort_keys=True, indent=2) + "\n")
    return metadata


def _evaluation(
    rows: list[dict[str, Any]], step: int, options: Mapping[str, Any], generator: nn.Module
) -> dict[str, Any] | None:
    """What `python -m gan_dist.evaluate --json` prints, from the rows of a run; None if the step was not evaluated."""
    found = [row for row in rows if row.get("step") == step]
    if not found:
        return None
    dataset = str(options["dataset"])
    is_known = dataset in SOURCES and generator.image_shape == IMAGE_SHAPE
    extractor = load_extractor(dataset) if is_known else None
    about = describe(Path(dataset).name, "test" if is_known else "train", options["eval-images"], extractor)
    return _figures(found[-1]) | about


def _figures(row: Mapping[str, Any]) -> dict[str, Any]:
    """Those of an evaluation, if the row is of one."""
    known = {name: row[name] for name in row if name.startswith(EVAL) and name not in MEASURED}
    return {name.removeprefix(EVAL): value for name, value in known.items()}


def _bare(value: Any) -> Any:
    """A value without the folders in it that are of this machine: file=/home/me/a.npy -> file=a.npy."""
    if isinstance(value, dict):
        return {key: _bare(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_bare(each) for each in value]
    if not isinstance(value, str):
        return value
    option, equals, path = value.rpartition("=")
    return option + equals + Path(path).name if path.startswith(("/", "~", ".")) else value


def _check(folder: Path, run: Path) -> None:
    """Raise UserError if a file has a path or a secret in it: code can, and so can a name."""
    paths = {path for path in (Path.home(), Path.cwd(), run.resolve().parent) if path != Path("/")}
    unwanted = {f"{path}/": f"a path of this machine ({path})" for path in sorted(paths)}
    unwanted |= {get_token() or "": "a token", os.environ.get("WANDB_API_KEY", ""): "a key"}
    for file in sorted(folder.iterdir()):
        content = file.read_bytes()
        for words, kind in unwanted.items():
            if words and words.encode() in content:
                raise UserError(f"{file.name}: has {kind} in it; take it out of that file of the run")
