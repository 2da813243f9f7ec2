"""Download a data set, what training needs of it and test images, and verify it; or pack pictures of one's own.

`python -m gan_dist.download [--dataset NAME] [--data-dir DIR]`
"""

import contextlib
import sys

from gan_dist.config.resolve import parse
from gan_dist.data.mnist import MissingError, load_images
from gan_dist.data.sources import SOURCES
from gan_dist.errors import exit_code
from gan_dist.training.data import load_data


def main() -> int:
    config = parse(sys.argv[1:], command="download")
    data = load_data(config)
    if config.data.dataset in SOURCES:
        with contextlib.suppress(MissingError):  # training does without
            load_images(config.data.dataset, config.data.data_dir, "test")
    print(f"{data.name}: {len(data.images):,} images")
    return 0


if __name__ == "__main__":
    sys.exit(exit_code(main))
