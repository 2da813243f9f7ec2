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
        return program()
    except UserError as error:
        if os.environ.get("RANK", "0") == "0":
            tell(error)
        return 2
    except KeyboardInterrupt:
        return 130
