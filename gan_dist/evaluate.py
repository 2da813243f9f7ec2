"""Quality as a number: `python -m gan_dist.evaluate RUN|WEIGHTS|PNG-FOLDER [--num 10000] [--split test] [--json]`."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_dist.arguments import Parser, check_parent
from gan_dist.config.parsing import read_whole
from gan_dist.errors import UserError, exit_code
from gan_dist.evaluation import LEAST_IMAGES
from gan_dist.invocation import COMMANDS, command

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

NUM_BESIDE = 16  # samples in the picture of --neighbours


def main() -> int:
    parser = Parser(prog=command("evaluate"), description=COMMANDS["evaluate"])
    parser.add_argument(
        "source", help="run folder, checkpoint, folder of weights or of PNG files, or user/name on the Hub"
    )
    parser.add_argument("--which", choices=("last", "best"), default="last", help="generator of a run [%(default)s]")
    parser.add_argument(
        "--num", default="10000", help="images to measure; of PNG files at most that many [%(default)s]"
    )
    parser.add_argument(
        "--split", choices=("test", "train"), help="real images [test, or train of data sets without test images]"
    )
    parser.add_argument(
        "--dataset",
        metavar="NAME|PATH",
        help="real images, as train takes them [those of the weights; of PNG files mnist]",
    )
    parser.add_argument("--background", default="white", help="of transparent real images [%(default)s]")
    parser.add_argument("--data-dir", default="data", help="folder of data sets [%(default)s]")
    parser.add_argument("--model", metavar="FILE.py", help="the networks, if they are not of gan_dist: RUN/model.py")
    parser.add_argument("--seed", help="seed of noise and labels [that of the run]")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--neighbours", metavar="FILE.png", help="draw images beside their nearest training images")
    options = parser.parse_args()
    num = read_whole("--num", options.num)
    if num < LEAST_IMAGES:
        raise UserError(f"--num {num}: must be at least {LEAST_IMAGES}")
    seed = None if options.seed is None else _read_seed(options.seed)
    data_dir = os.path.expanduser(options.data_dir)
    picture = options.neighbours and Path(os.path.expanduser(options.neighbours))
    if picture:
        check_parent("--neighbours", options.neighbours, picture)
        if picture.suffix != ".png":
            raise UserError(f"--neighbours {options.neighbours}: must be the name of a .png file")

    from gan_dist.data.dataset import name_of
    from gan_dist.evaluation.drawn import Drawn  # here, so that --help and errors do not wait for torch
    from gan_dist.evaluation.evaluator import Evaluator
    from gan_dist.evaluation.features import has_extractor
    from gan_dist.evaluation.files import read_pngs, shape_of_pngs
    from gan_dist.evaluation.real import load_real
    from gan_dist.storage.weights import load_generator

    source = Path(os.path.expanduser(options.source))
    labels: Tensor | None = None
    shape: tuple[int, ...]
    if _is_of_pngs(source):
        dataset, shape = os.path.expanduser(options.dataset or "mnist"), shape_of_pngs(source)
        images = read_pngs(source, num, shape)
        num = len(images)

        def generate(rows: range) -> "Tensor":
            return images[rows.start : rows.stop]
    else:
        generator = load_generator(options.source, options.model, options.which)
        dataset = os.path.expanduser(options.dataset or _dataset_of(generator, options.source))
        shape = tuple(generator.image_shape)  # type: ignore[arg-type]
        seed = _read_seed(str(generator.run_seed)) if seed is None else seed
        generate = Drawn(generator, generator.latent_dim, seed, _frequencies(generator))  # type: ignore[arg-type]
        labels = generate.labels(range(num)) if _asks_for_classes(generator) else None
    where = dataset, data_dir, shape, options.background
    if has_extractor(dataset, shape):
        evaluator = Evaluator(dataset, data_dir, num=num, split=options.split or "test")
    else:
        split, real = load_real(*where, options.split)
        evaluator = Evaluator(name_of(dataset), data_dir, num=num, split=split, real=real)
    figures = evaluator(generate, labels)
    assert figures is not None
    if picture:
        _draw_beside(generate(range(min(num, NUM_BESIDE))), load_real(*where, "train")[1], picture)
    report = {**figures, **evaluator.description}
    print(json.dumps(report) if options.json else _table(options.source, report))
    return 0


def _read_seed(word: str) -> int:
    seed = read_whole("--seed", word)
    if seed < 0:
        raise UserError(f"--seed {seed}: must be from 0 to 2**63 - 1")
    return seed


def _is_of_pngs(source: Path) -> bool:
    """Whether this is a folder of images and not one of weights."""
    ours = ("state.json", "model.safetensors", "generator", "checkpoints", "best")
    return not any((source / name).exists() for name in ours) and any(source.rglob("*.png"))


def _dataset_of(generator: "nn.Module", source: str) -> str:
    from gan_dist.data.dataset import NAMES

    if generator.trained_on not in NAMES:
        raise UserError(f"{source}: was trained on {generator.trained_on}; name with --dataset what to compare with")
    return str(generator.trained_on)


def _frequencies(generator: "nn.Module") -> "Tensor | None":
    """Of classes in training, where the weights have them; else all are as frequent."""
    import torch

    num_classes: int = generator.num_classes  # type: ignore[assignment]
    known: Tensor | None = getattr(generator, "class_frequencies", None)
    return known if known is not None or not num_classes else torch.full((num_classes,), 1 / num_classes)


def _asks_for_classes(generator: "nn.Module") -> bool:
    """Whether its labels are the data set's classes; labels can also be clusters."""
    return bool(generator.num_classes == 10 and not generator.has_clusters)


def _draw_beside(images: "Tensor", training: "NDArray[np.uint8]", picture: Path) -> None:
    from gan_dist.evaluation.memory import beside_nearest
    from gan_dist.tracking.pictures import save_grid

    try:
        save_grid(beside_nearest(images, training), picture)
    except (OSError, ValueError) as error:
        raise UserError(f"--neighbours {picture}: cannot be written ({error}); name a .png file") from None


def _table(source: str, report: dict[str, Any]) -> str:
    floor = report["floor"]
    others = "other real images" if report["sha256"] else "of these against the others"
    extractor = report["extractor"] + (f" (SHA-256 {report['sha256'][:16]}...)" if report["sha256"] else "")
    lines = [
        f"{source}: {report['num']:,} images, against the {report['split']} images of {report['dataset']}",
        f"extractor: {extractor}",
        "",
        f"{'':20}{'here':>12}" + (f"{'real':>12}  (floor: {floor['num']:,} {others})" if floor else ""),
    ]
    for name, value in report.items():
        if isinstance(value, float):
            lines.append(f"{name:20}{value:12.5g}" + (f"{floor[name]:12.5g}" if name in floor else ""))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(exit_code(main))
