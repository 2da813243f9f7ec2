"""Images of a trained generator: `python -m gan_dist.generate RUN --num 64 --seed 0 --out digits.png`.

The end of --out chooses what is written: a grid, single PNGs, an archive of numpy, a moving picture.
"""

import contextlib
import math
import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from gan_dist.arguments import Parser, check_parent
from gan_dist.config.parsing import read_whole
from gan_dist.errors import UserError, exit_code
from gan_dist.invocation import COMMANDS, command

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FOLDER = "folder"
MOVING = {".gif": "GIF", ".webp": "WEBP"}
MOST_MOVING = 400  # images, and the images that one passes: a moving picture is held in memory
STOPS = "4"
FORMS = "x.png, a grid; folder/, single PNGs; x.npz, arrays of images and labels; x.gif or x.webp, a moving grid"


def main() -> int:
    parser = Parser(prog=command("generate"), description=COMMANDS["generate"])
    parser.add_argument(
        "weights", help="run folder, checkpoint, folder with model.safetensors, or user/name on the Hub"
    )
    parser.add_argument("--which", choices=("last", "best"), default="last", help="generator of a run [%(default)s]")
    parser.add_argument("--num", default="64", help="images [%(default)s]")
    parser.add_argument("--seed", default="0", help="seed of the noise [%(default)s]")
    parser.add_argument("--digit", help="draw only this class, if the generator takes labels [all in turn]")
    parser.add_argument(
        "--truncation", metavar="T", help="draw noise beyond T anew: better images that differ less, 0.7 say [no]"
    )
    parser.add_argument(
        "--walk",
        nargs="?",
        const=STOPS,
        metavar="M",
        help=f"of a moving picture: each image turns into M - 1 others and back [{STOPS}]",
    )
    parser.add_argument(
        "--out",
        default="digits.png",
        help=f"{FORMS} [%(default)s]",
    )
    parser.add_argument("--model", metavar="FILE.py", help="the networks, if they are not of gan_dist: RUN/model.py")
    options = parser.parse_args()
    digit = None if options.digit is None else read_whole("--digit", options.digit)
    num, seed = read_whole("--num", options.num), read_whole("--seed", options.seed)
    if num < 1:
        raise UserError(f"--num {num}: must be at least 1")
    if seed < 0:
        raise UserError(f"--seed {seed}: must be from 0 to 2**63 - 1")
    truncation = None if options.truncation is None else _read_truncation(options.truncation)
    out = Path(os.path.expanduser(options.out)).resolve()
    with _telling(options.out):
        form = _form(options.out, out)
    stops = read_whole("--walk", options.walk or STOPS)
    if options.walk and form not in MOVING:
        raise UserError(f"--walk {stops}: is for a moving picture; name one with --out, x.gif or x.webp")
    if not 2 <= stops <= MOST_MOVING:
        raise UserError(f"--walk {stops}: must be from 2 to {MOST_MOVING}")
    if form in MOVING and num > MOST_MOVING:
        raise UserError(f"--num {num}: a moving picture takes at most {MOST_MOVING}")

    import torch  # here, so that --help and errors do not wait for it

    from gan_dist.drawing.files import save_npz, save_picture, save_pngs
    from gan_dist.drawing.images import Drawing
    from gan_dist.drawing.walk import FRAMES, frames
    from gan_dist.storage.weights import load_generator
    from gan_dist.tracking.pictures import as_grid

    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)  # several wait for each other, the more the busier the machine is
    drawing = Drawing(load_generator(options.weights, options.model, options.which), seed, digit, truncation)
    labels, order = drawing.labels(range(num)), drawing.by_class(num)
    numbers = None if labels is None else labels.numpy()
    began = time.monotonic()
    with _telling(options.out):
        if form in MOVING:
            grids = (as_grid(pixels[order]) for pixels in _shown(frames(drawing, num, stops), FRAMES * stops * num))
            save_picture(grids, out, MOVING[form])
        elif form == FOLDER:
            save_pngs(_shown(drawing.parts(num), num), numbers, out)
        elif form == ".npz":
            save_npz(_shown(drawing.parts(num), num), num, numbers, out)
        else:
            import numpy as np

            save_picture([as_grid(np.concatenate([*_shown(drawing.parts(num), num)])[order])], out, "PNG")
    speed = f": {num} images, {num / (time.monotonic() - began):.0f} images/s"
    print(f"{options.out}{speed if form in (FOLDER, '.npz') else ''}")
    return 0


def _read_truncation(word: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < (number := float(word)) < math.inf:
            return number
    raise UserError(f"--truncation {word}: must be a number above 0, such as 0.7")


def _form(word: str, out: Path) -> str:
    """FOLDER, or the ending that says what is written. Raises UserError and OSError."""
    check_parent("--out", word, out)
    if word.endswith("/") or out.is_dir():
        if out.exists() and not out.is_dir():
            raise UserError(f"--out {word}: is a file; name a folder that is not there, or an empty one")
        if out.is_dir() and any(out.iterdir()):
            raise UserError(f"--out {word}: this folder is not empty; name another, or delete what is in it")
        return FOLDER
    if (ending := out.suffix.lower()) not in (".png", ".npz", *MOVING):
        raise UserError(f"--out {word}: its end must say what to write: {FORMS}")
    return ending


@contextlib.contextmanager
def _telling(word: str) -> Iterator[None]:
    """Turn what --out cannot take into a UserError."""
    try:
        yield
    except OSError as error:
        raise UserError(f"--out {word}: cannot be written ({error.strerror or error}); name another place") from None


def _shown(parts: "Iterable[NDArray[np.uint8]]", total: int) -> "Iterator[NDArray[np.uint8]]":
    """The same, with a bar of how many images there are, on a terminal."""
    from tqdm import tqdm

    with tqdm(total=total, unit="image", disable=not sys.stderr.isatty(), dynamic_ncols=True) as bar:
        for part in parts:
            yield part
            bar.update(len(part))


if __name__ == "__main__":
    sys.exit(exit_code(main))
