"""Download a data set and verify it: `python -m gan_dist.download [--dataset NAME] [--data-dir DIR]`."""

import sys

from gan_dist.config.resolve import parse
from gan_dist.data.mnist import load_images
from gan_dist.errors import exit_code


def main() -> int:
    config = parse(sys.argv[1:])
    images = load_images(config.data.dataset, config.data.data_dir)
    print(f"{config.data.dataset}: {len(images):,} images")
    return 0


if __name__ == "__main__":
    sys.exit(exit_code(main))
