"""Errors in what the user asked for, and how a command reports them and ends."""

import logging
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from gan_dist import stdio

logger = logging.getLogger(__name__)


class UserError(ValueError):
    """Bad input. The message is one line that names the option, the value and the remedy."""


class Told(UserError):
    """A UserError that has been logged where it arose. A command that gets it ends at once and says no more."""


def tell(error: UserError) -> Told:
    """Log an error now -> what to raise in its place, so that nobody logs it again."""
    logger.error("%s", error)
    return Told(str(error))


def reason(error: Exception) -> str:
    """The message of an exception, in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def exit_code(program: Callable[[], int]) -> int:
    """Run a command and return its exit code; what gan_dist logs goes to stderr, a UserError is one line and code 2.

    Where all processes meet the same error only rank 0 logs it; a closed stderr is no problem.
    """
    stdio.keep_open()
    stdio.show_log()
    try:
        return program()
    except Told:
        exit_now(2)  # right after a collective Python's own way out can abort: gloo's thread lets go of a tensor late
    except UserError as error:
        if os.environ.get("RANK", "0") == "0":
            tell(error)
        return 2
    except KeyboardInterrupt:
        return 130


def exit_now(code: int) -> NoReturn:
    """Exit at once, without the exit handlers of Python and its libraries."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
