"""What a model card says of a run, in words and tables."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from torch import nn

from gan_dist.data.sources import SOURCES
from gan_dist.storage.run_folder import CODE
from gan_dist.tracking.names import EVAL, METRICS

MEANINGS = {metric.column.removeprefix(EVAL): metric.meaning for metric in METRICS if metric.column.startswith(EVAL)}


class Facts(NamedTuple):
    """What a card is made of. evaluation: as `evaluate --json` prints it; num_evaluations: of the whole run."""

    name: str
    generator: nn.Module
    options: Mapping[str, Any]
    metadata: Mapping[str, str]
    evaluation: Mapping[str, Any] | None
    num_evaluations: int
    is_best: bool
    is_known: bool  # whether the data set is one that gan_dist knows by name

    @property
    def title(self) -> str:
        return self.name.split("/")[1]

    @property
    def dataset(self) -> str:
        return self.metadata["dataset"]

    @property
    def own(self) -> bool:
        """Whether its networks are code of their own."""
        return self.metadata["model"] == CODE

    @property
    def evaluate(self) -> str:
        """The command that measures it."""
        options = (f" --model {CODE}" if self.own else "") + ("" if self.is_known else " --dataset PICTURES")
        return f"python -m gan_dist.evaluate {self.name}{options}"


def takes(facts: Facts) -> str:
    num: int = facts.generator.num_classes  # type: ignore[assignment]
    if not num:
        return "It takes noise alone, no classes."
    if facts.generator.has_clusters:
        return f"It takes noise and the number of a cluster of the training images, 0 to {num - 1}."
    names = SOURCES[facts.dataset].class_names if facts.is_known and facts.dataset in SOURCES else ()
    if names == tuple(map(str, range(num))) or len(names) != num:
        return f"It takes noise and a class, 0 to {num - 1}."
    return f"It takes noise and a class: {', '.join(f'{i} {name}' for i, name in enumerate(names))}."


def training(facts: Facts) -> Iterator[tuple[str, str]]:
    options, step, batch = facts.options, int(facts.metadata["step"]), facts.options["batch-size"]
    size = sum(parameter.numel() for parameter in facts.generator.parameters())
    yield "recipe", f"`{facts.metadata['recipe']}`"
    yield "networks", f"`{facts.metadata['model']}`; {size:,} weights in the generator"
    penalties = [f"{name} {options[name]}" for name in ("r1", "r2", "mismatch") if options.get(name)]
    yield "loss", ", ".join([options["objective"], *penalties])
    best = f", the best of {facts.num_evaluations} evaluations" if facts.is_best and facts.num_evaluations > 1 else ""
    yield "steps", f"{step:,}{best}; {step * batch:,} images in batches of {batch}"
    if options.get("ema"):
        yield "weights", f"a running average with a half-life of {options['ema']:,} images"
    yield "seed", facts.metadata["seed"]


def figures(facts: Facts) -> str:
    found = facts.evaluation
    if found is None:
        return f"It was not measured. `{facts.evaluate}` measures it."
    floor, split = found["floor"], "training" if found["split"] == "train" else found["split"]
    names = [name for name in MEANINGS if name in found]
    columns = {"figure": [in_words(name) for name in names], "here": [f"{found[name]:.4g}" for name in names]}
    text = (
        f"{found['num']:,} generated images against the {split} images of `{found['dataset']}`, measured while it was "
    )
    text += "trained; `evaluation.json` has the same."
    if facts.is_best:
        text += f" It was chosen by its {in_words(next(iter(found)))}, which is therefore a little too good."
    if floor:
        text += f" *Real images* are {floor['num']:,} training images against the same {split} images: no generator is "
        text += "expected to be better."
        columns["real images"] = [f"{floor[name]:.4g}" for name in names]
    columns["what it is"] = [MEANINGS[name] for name in names]
    return f"{text}\n\n{table(tuple(columns), zip(*columns.values(), strict=True))}"


def limits(facts: Facts) -> Iterator[str]:
    found = facts.evaluation or {}
    yield f"It draws images like those of `{facts.dataset}` and no others."
    if "frechet_distance" in found:
        yield (
            "Distances are in the features of a small classifier in gan_dist: compare them with figures of gan_dist "
            "for the same data set and as many images, and not with the FID of another program."
        )
    if "sliced_distance" in found:
        yield (
            "The sliced distance sees texture, not what an image shows: compare it only among generators of the same "
            "images in the same size."
        )
    yield (
        "No figure tells whether images are copies of training images. "
        f"`{facts.evaluate} --neighbours beside.png` draws some beside the training images that are nearest to them."
    )
    yield "It has no licence until its owner adds one, which depends on the training images, too."


def table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in [heads, ("---",) * len(heads), *rows])


def in_words(name: str) -> str:
    return name.replace("_", " ").replace("frechet", "Frechet")
