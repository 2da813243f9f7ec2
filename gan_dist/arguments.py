"""What commands with few options share: errors of the command line in one line."""

import argparse
from pathlib import Path
from typing import NoReturn

from gan_dist.errors import UserError


class Parser(argparse.ArgumentParser):
    """One whose errors are UserErrors."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see --help")


def check_parent(option: str, word: str, place: Path) -> None:
    """Raise UserError if the folder in which `place`, given as `option word`, is to be written is not there."""
    if not place.parent.is_dir():
        raise UserError(f"{option} {word}: there is no folder {place.parent}; make it, or name another")
