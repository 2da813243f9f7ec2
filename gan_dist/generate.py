"""Pictures from saved weights: `python -m gan_dist.generate RUN --num 64 --seed 0 --out digits.png`."""

import os
import sys
from pathlib import Path

from gan_dist.arguments import Parser
from gan_dist.config.parsing import read_whole
from gan_dist.errors import UserError, exit_code
from gan_dist.invocation import COMMANDS, command


def main() -> int:
    parser = Parser(prog=command("generate"), description=COMMANDS["generate"])
    parser.add_argument("weights", help="run folder, checkpoint, or a folder with model.safetensors")
    parser.add_argument("--which", choices=("last", "best"), default="last", help="generator of a run [%(default)s]")
    parser.add_argument("--num", default="64", help="images in the picture [%(default)s]")
    parser.add_argument("--seed", default="0", help="seed of the noise [%(default)s]")
    parser.add_argument("--digit", help="draw only this class, if the generator takes labels [all in turn]")
    parser.add_argument("--out", default="digits.png", help="the PNG to write [%(default)s]")
    parser.add_argument("--model", metavar="FILE.py", help="the networks, if they are not of gan_dist: RUN/model.py")
    options = parser.parse_args()
    digit = None if options.digit is None else read_whole("--digit", options.digit)
    num, seed = read_whole("--num", options.num), read_whole("--seed", options.seed)
    if num < 1:
        raise UserError(f"--num {num}: must be at least 1")
    if seed < 0:
        raise UserError(f"--seed {seed}: must be from 0 to 2**63 - 1")
    out = Path(os.path.expanduser(options.out))
    if not out.parent.is_dir():
        raise UserError(f"--out {options.out}: there is no folder {out.parent}; make it, or name another")

    from gan_dist.storage.weights import load_generator  # here, so that --help and errors do not wait for torch
    from gan_dist.tracking.pictures import draw, save_grid

    generator = load_generator(options.weights, options.model, options.which)
    if digit is not None:
        if not generator.num_classes:
            raise UserError(f"--digit {digit}: this generator takes no labels; leave it out, or train --conditional")
        if not 0 <= digit < generator.num_classes:  # type: ignore[operator]
            raise UserError(f"--digit {digit}: this generator has the classes 0 to {generator.num_classes - 1}")  # type: ignore[operator]
    images = draw(generator, num, seed, digit)
    try:
        save_grid(images, out)
    except (OSError, ValueError) as error:
        raise UserError(f"--out {options.out}: cannot be written ({error}); name a .png file") from None
    print(out)
    return 0


if __name__ == "__main__":
    sys.exit(exit_code(main))
