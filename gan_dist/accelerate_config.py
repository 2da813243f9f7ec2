"""The configs of `accelerate launch` that come with this package, for those who have no clone of it:

accelerate launch --config_file $(python -m gan_dist.accelerate_config cpu_2) -m gan_dist.train
"""

import re
import sys

from gan_dist.arguments import Parser
from gan_dist.errors import UserError, exit_code
from gan_dist.invocation import COMMANDS, CONFIGS, command


def main() -> int:
    name = "accelerate_config"
    parser = Parser(prog=command(name), description=COMMANDS[name])
    parser.add_argument("name", nargs="?", help="print the path of this one [without a name: what there is]")
    wanted = parser.parse_args().name
    configs = {file.stem: file for file in sorted(CONFIGS.glob("*.yaml"))}
    if wanted is None:
        for each, file in configs.items():
            print(f"{each:16}{re.split('[:.(]', file.read_text())[0].removeprefix('# ')}")
    elif wanted in configs:
        print(configs[wanted])
    else:
        raise UserError(f"{wanted}: no such config; take one of {', '.join(configs)}")
    return 0


if __name__ == "__main__":
    sys.exit(exit_code(main))
