"""Train a GAN: `accelerate launch gan_dist/train.py [options]`; `--help` lists them."""

import os
import signal
import sys

if not __package__:  # run as a script: let `import gan_dist` work, and keep errors.py & co. from hiding others
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from gan_dist.config.resolve import parse
from gan_dist.errors import exit_code, exit_now


def main() -> int:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # launch.sh keeps Ctrl-C from the launcher, not from here
    config = parse(sys.argv[1:])
    if config.print_config:
        print(config.to_yaml(), end="")
        return 0
    from gan_dist.training.trainer import Trainer  # here, so that --help and errors do not wait for torch

    trainer = Trainer(config)
    code = trainer.run()
    # What a dashboard registered to run at exit may hang; with several processes Python's own way out may abort, since
    # gloo's threads are still there.
    if trainer.tracker.is_broken or trainer.accelerator.num_processes > 1:
        exit_now(code)
    return code


if __name__ == "__main__":
    sys.exit(exit_code(main))
