"""`python -m gan_dist` lists the commands."""

import sys

from gan_dist import invocation
from gan_dist.errors import UserError, exit_code


def main() -> int:
    for word in sys.argv[1:]:
        if word in invocation.COMMANDS:
            raise UserError(f"{word}: start it with {invocation.command(word)}")
        if word not in ("-h", "--help"):
            raise UserError(f"{word}: no such command; python -m gan_dist lists them")
    print(*invocation.table(), "Each of them lists its options with --help.", sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(exit_code(main))
