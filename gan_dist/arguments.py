"""How the small commands read their command line."""

import argparse
from typing import NoReturn

from gan_dist.errors import UserError


class Parser(argparse.ArgumentParser):
    """Errors in one line."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; see --help")
