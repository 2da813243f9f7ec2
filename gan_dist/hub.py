"""A run on the Hugging Face Hub: `python -m gan_dist.hub push RUN user/name [--dry-run DIR]`."""

import os
import sys
import tempfile
from pathlib import Path

from gan_dist.arguments import Parser, check_parent
from gan_dist.errors import UserError, exit_code, reason
from gan_dist.invocation import COMMANDS, command


def main() -> int:
    parser = Parser(prog=command("hub"), description=COMMANDS["hub"])
    parser.add_argument("action", choices=("push",), help="publish a run")
    parser.add_argument("run", metavar="RUN", help="run folder")
    parser.add_argument("name", metavar="user/name", help="the repository, which is made if there is none")
    parser.add_argument("--private", action="store_true", help="for you alone")
    parser.add_argument("--which", choices=("last", "best"), default="last", help="generator of the run [%(default)s]")
    parser.add_argument("--model", metavar="FILE.py", help="the networks, if they are not of gan_dist: RUN/model.py")
    parser.add_argument("--dry-run", metavar="DIR", help="write what would be published into a new folder, no more")
    options = parser.parse_args()
    run = Path(os.path.expanduser(options.run))
    if not (run / "config.yaml").is_file():
        raise UserError(f"{options.run}: is no run folder, as it has no config.yaml; name what --run-dir named")
    dry_run = options.dry_run and Path(os.path.expanduser(options.dry_run))
    if dry_run and dry_run.exists():
        raise UserError(f"--dry-run {options.dry_run}: is there already; name a folder that is not")
    if dry_run:
        check_parent("--dry-run", options.dry_run, dry_run)

    from huggingface_hub.utils import disable_progress_bars  # here, so that --help does not wait for it

    from gan_dist.storage import hub

    if not hub.is_name(options.name):
        raise UserError(
            f"{options.name}: is no name of a repository; it is user/name, of letters, digits, '-', '_', '.'"
        )
    if not dry_run:
        hub.check_login()
    if not sys.stderr.isatty():
        disable_progress_bars()

    from gan_dist import atomic
    from gan_dist.sharing.folder import fill  # here, so that errors do not wait for torch

    try:
        if dry_run:
            with atomic.new_folder(dry_run) as folder:
                fill(folder, run, options.name, options.which, options.model)
            print(dry_run)
            return 0
        with tempfile.TemporaryDirectory() as scratch:
            fill(Path(scratch), run, options.name, options.which, options.model)
            print(hub.upload(Path(scratch), options.name, options.private, f"The {options.which} generator of a run"))
    except OSError as error:
        raise UserError(f"{options.run}: cannot be published ({reason(error)})") from None
    return 0


if __name__ == "__main__":
    sys.exit(exit_code(main))
