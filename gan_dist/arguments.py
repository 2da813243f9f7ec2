"""What commands with few options share: errors of the command line in one line."""

import argparse
from typing import NoReturn

from gan_dist.errors import UserError


class Parser(argparse.ArgumentParser):
    """One whose errors are UserErrors."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see --help")
