"""Download a data set, what training needs of it and test images, and verify it.

`python -m gan_dist.download [--dataset NAME] [--data-dir DIR]`
"""

import contextlib
import sys

from gan_dist.config.resolve import parse
from gan_dist.data.dataset import load
from gan_dist.data.mnist import MissingError
from gan_dist.errors import exit_code
from gan_dist.training.data import load_data


def main() -> int:
    config = parse(sys.argv[1:])
    data, _ = load_data(config)
    with contextlib.suppress(MissingError):  # training does without
        load(config.data.dataset, config.data.data_dir, "test", with_labels=False)
    print(f"{data.name}: {len(data.images):,} images")
    return 0


if __name__ == "__main__":
    sys.exit(exit_code(main))
