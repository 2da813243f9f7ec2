"""What a person did that the program cannot use, told in one line."""

import os
import sys
from collections.abc import Callable


class UserError(ValueError):
    """Bad input. The message is one line that names the option, the value and the remedy."""


def tell(error: UserError) -> None:
    """Say in one line what is wrong."""
    print(f"error: {error}", file=sys.stderr, flush=True)


def exit_code(program: Callable[[], int]) -> int:
    """Run `program` and return its exit code; a UserError becomes one line on stderr and code 2.

    Of the processes that meet the same error only rank 0 speaks.
    """
    try:
        try:
            return program()
        finally:
            if sys.stdout:
                sys.stdout.flush()  # here, and not at exit where nobody catches what comes of it
    except BrokenPipeError:  # `--help | head`: who reads has what they wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at exit
        return 0
    except UserError as error:
        if os.environ.get("RANK", "0") == "0":
            tell(error)
        return 2
    except KeyboardInterrupt:
        return 130
