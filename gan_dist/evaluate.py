"""Quality as a number: `python -m gan_dist.evaluate RUN`, or a folder of weights, or of PNG files of one image each."""

import contextlib
import json
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_dist.arguments import Parser
from gan_dist.config.parsing import read_whole
from gan_dist.errors import UserError, exit_code

if TYPE_CHECKING:
    from torch import Tensor, nn

logger = logging.getLogger(__name__)


def main() -> int:
    parser = Parser(prog="gan_dist.evaluate", description="Measure how near generated images are to real ones.")
    parser.add_argument("source", help="run folder, checkpoint, folder of weights, or folder of 28x28 grey PNG files")
    parser.add_argument("--num", default="10000", help="images to measure [%(default)s]")
    parser.add_argument("--split", choices=("test", "train"), default="test", help="real images [%(default)s]")
    parser.add_argument("--dataset", help="data set of the real images [that of the run, or else mnist]")
    parser.add_argument("--data-dir", default="data", help="folder of the data sets [%(default)s]")
    parser.add_argument("--seed", help="seed of the noise [that of the run, or else 0]")
    parser.add_argument("--which", choices=("last", "best"), default="last", help="generator of a run [%(default)s]")
    parser.add_argument("--model", metavar="FILE.py", help="the networks, if they are not of gan_dist: RUN/model.py")
    parser.add_argument("--neighbours", metavar="FILE.png", help="draw samples beside the nearest training images")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    num = read_whole("--num", options.num)
    source = Path(os.path.expanduser(options.source))
    if not source.is_dir():
        raise UserError(f"{options.source}: no such folder; name a run, a folder of weights or one of PNG files")

    import torch  # here, so that --help and errors do not wait for it

    from gan_dist.data.mnist import load_images
    from gan_dist.data.sources import SOURCES
    from gan_dist.evaluation.evaluator import Evaluator, to_pixels
    from gan_dist.tracking.pictures import save_neighbours

    recorded = _recorded(source)
    dataset = options.dataset or recorded.get("dataset", "mnist")
    if dataset not in SOURCES:
        raise UserError(f"--dataset {dataset}: no such data set; take one of {', '.join(SOURCES)}")
    seed = read_whole("--seed", options.seed or str(recorded.get("seed", 0)))
    files = sorted(source.rglob("*.png")) if not recorded else []
    if files:
        images = _read(files[:num])
        evaluator = Evaluator(dataset, options.data_dir, num=len(images), split=options.split)
        report = evaluator(lambda rows: images[rows.start : rows.stop])
        samples = images[:24]
    else:
        from gan_dist.evaluation.drawn import Drawn
        from gan_dist.storage.weights import load_generator

        generator = load_generator(source, options.model, options.which)
        drawn = Drawn(generator, generator.latent_dim, seed, _frequencies(generator))  # type: ignore[arg-type]
        evaluator = Evaluator(dataset, options.data_dir, num=num, split=options.split)
        asked = None if recorded.get("clusters") else drawn.labels(range(num))
        report = evaluator(drawn, asked)
        samples = drawn(range(24))
    assert report is not None
    if "precision" not in report and "frechet_distance" in report:
        logger.warning("figures that need each real image are left out: its files are not in --data-dir")
    if options.neighbours:
        training = torch.from_numpy(load_images(dataset, options.data_dir).copy())
        try:
            save_neighbours(to_pixels(samples), training, Path(options.neighbours))
        except (OSError, ValueError) as error:
            raise UserError(f"--neighbours {options.neighbours}: cannot be written ({error})") from None
    if options.json:
        print(json.dumps({**report, **evaluator.description}))
    else:
        _print(report, evaluator.description)
    return 0


def _recorded(source: Path) -> dict[str, Any]:
    """What a run, a checkpoint or weights say of their data set and seed; {} if it is none of them."""
    from safetensors import safe_open

    for file in (source / "config.yaml", source / "state.json"):
        with contextlib.suppress(OSError, ValueError, KeyError):
            if file.suffix == ".json":
                return {"seed": 0, **json.loads(file.read_text())["config"]}
            import yaml

            return {"seed": 0, **yaml.safe_load(file.read_text())}
    with contextlib.suppress(Exception), safe_open(source / "model.safetensors", "pt") as weights:
        return {"seed": 0, **(weights.metadata() or {})}  # load_generator says what is wrong with it
    return {}


def _frequencies(generator: "nn.Module") -> "Tensor | None":
    """Of the classes of a generator with labels: those of its training, or else even ones."""
    import torch

    if not generator.num_classes:
        return None
    known = getattr(generator, "class_frequencies", None)
    return torch.ones(generator.num_classes) / generator.num_classes if known is None else known  # type: ignore


def _read(files: list[Path]) -> "Tensor":
    """PNG files of one image each -> [N, 1, 28, 28] in [-1, 1]. Raises UserError."""
    import numpy as np
    import torch
    from PIL import Image

    pixels = []
    for file in files:
        try:
            with Image.open(file) as image:
                array = np.asarray(image.convert("L"))
        except OSError:
            raise UserError(f"{file}: cannot be read as a PNG file; mend or remove it") from None
        if array.shape != (28, 28):
            size = f"{array.shape[1]} by {array.shape[0]}"
            raise UserError(f"{file}: is {size} pixels, not 28 by 28; one image to a file")
        pixels.append(array)
    return torch.from_numpy(np.stack(pixels)).unsqueeze(1).float().div(127.5).sub(1)


def _print(report: dict[str, float], description: dict[str, Any]) -> None:
    floor = description["floor"]
    print(f"{description['num']:,} images against the {description['split']} images of {description['dataset']}")
    print(f"features: {description['extractor']} {(description['sha256'] or '')[:16]}")
    print(f"{'':20}{'these':>12}{'real images':>14}")
    for name, figure in report.items():
        known = f"{floor[name]:14.4g}" if name in floor else ""
        print(f"{name.replace('_', ' '):20}{figure:12.4g}{known}")


if __name__ == "__main__":
    sys.exit(exit_code(main))
