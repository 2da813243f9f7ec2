"""Errors in what the user asked for, reported in one line."""

import os
import sys
from collections.abc import Callable

from gan_dist import stdio


class UserError(ValueError):
    """Bad input. The message is one line that names the option, the value and the remedy."""


def tell(error: UserError) -> None:
    """Print an error in one line."""
    print(f"error: {error}", file=sys.stderr, flush=True)


def reason(error: Exception) -> str:
    """The message of an exception, in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def exit_code(program: Callable[[], int]) -> int:
    """Run `program` and return its exit code; a UserError becomes one line on stderr and code 2.

    Where all processes meet the same error only rank 0 prints it; a closed stderr is no problem.
    """
    stdio.keep_open()
    try:
        return program()
    except UserError as error:
        if os.environ.get("RANK", "0") == "0":
            tell(error)
        return 2
    except KeyboardInterrupt:
        return 130
