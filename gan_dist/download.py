"""Download a data set, what training needs of it and test images, and verify it.

`python -m gan_dist.download [--dataset NAME] [--data-dir DIR]`
"""

import contextlib
import sys

from gan_dist.config.resolve import parse
from gan_dist.data.mnist import MissingError, load_images, load_labels
from gan_dist.errors import exit_code


def main() -> int:
    config = parse(sys.argv[1:], command="download")
    place = config.data.dataset, config.data.data_dir
    images = load_images(*place)
    if config.model.conditional and config.model.clusters is None:
        load_labels(*place)
    with contextlib.suppress(MissingError):  # training does without
        load_images(*place, "test")
    print(f"{config.data.dataset}: {len(images):,} images")
    return 0


if __name__ == "__main__":
    sys.exit(exit_code(main))
