"""Pictures from saved weights: `python -m gan_dist.generate RUN --num 64 --seed 0 --out digits.png`."""

import argparse
import sys
from pathlib import Path

from gan_dist.errors import UserError, exit_code


def main() -> int:
    parser = argparse.ArgumentParser(prog="gan_dist.generate", description="Draw images from a trained generator.")
    parser.add_argument("weights", help="run folder, or a folder with model.safetensors")
    parser.add_argument("--num", type=int, default=64, help="images in the picture [%(default)s]")
    parser.add_argument("--seed", type=int, default=0, help="seed of the noise [%(default)s]")
    parser.add_argument("--out", type=Path, default="digits.png", help="the PNG to write [%(default)s]")
    options = parser.parse_args()
    if options.num < 1:
        raise UserError(f"--num {options.num}: must be at least 1")
    if not 0 <= options.seed < 2**63:
        raise UserError(f"--seed {options.seed}: must be from 0 to 2**63 - 1")

    import torch  # here, so that --help and errors do not wait for it

    from gan_dist.order import Stream, normal
    from gan_dist.pictures import save_grid
    from gan_dist.weights import load_generator

    generator = load_generator(options.weights)
    (noise,) = normal(options.seed, Stream.SAMPLE, [0], options.num, generator.latent_dim).float()  # type: ignore[arg-type]
    with torch.no_grad():
        images = generator(noise)
    try:
        save_grid(images, options.out)
    except (OSError, ValueError) as error:
        raise UserError(f"--out {options.out}: cannot be written ({error}); name a .png file") from None
    print(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(exit_code(main))
