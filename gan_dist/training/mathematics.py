"""Options that a resumed run must share with the run that it continues."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gan_dist.config.options import Config, unrecorded
from gan_dist.config.resolve import read_record
from gan_dist.data.dataset import NAMES
from gan_dist.errors import UserError


def check_record(file: Path, config: Config) -> None:
    """Raise UserError if the run whose options a run folder's config.yaml records cannot go on as `config`."""
    check_same_mathematics(read_record(file), config)


def check_same_mathematics(recorded: Mapping[str, Any], config: Config) -> None:
    """Raise UserError with the differences if a run of `recorded` options cannot go on as `config`."""
    then = unrecorded().to_dict() | dict(recorded)
    now = config.bound()
    changed = {name: value for name, value in now.items() if _compared(name, then[name]) != _compared(name, value)}
    if changed:
        differences = ", ".join(f"--{name} {value} (was {then[name]})" for name, value in changed.items())
        raise UserError(f"{differences}: a resumed run keeps its mathematics; keep them, or take another --run-dir")


def check_same_data(recorded: Mapping[str, Any] | None, data: Mapping[str, Any]) -> None:
    """Raise UserError if a checkpoint records other data than these; what is None was recorded before there was this.

    Both are what `fingerprint` gives. Of a folder, its place and name may have changed.
    """
    if recorded is not None and recorded["sha256"] != data["sha256"]:
        words = f"its images {data['shape']} or labels are not those that the run was trained on"
        was = f"{recorded['name']} {recorded['shape']}"
        raise UserError(f"--dataset {data['name']}: {words} ({was}); name those, or take another --run-dir")


def _compared(option: str, value: Any) -> Any:
    """What must be the same: of networks in a FILE.py its name, wherever it lies; a change of its code is warned of.

    Of a data set its name, or that it is one's own: `check_same_data` compares the images.
    """
    if option == "dataset":
        return value if value in NAMES else "one's own"
    return Path(value).name if option == "model" and str(value).endswith(".py") else value
