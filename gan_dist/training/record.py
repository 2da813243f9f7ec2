"""What the trainer puts into a checkpoint's state.json, beside what every checkpoint has."""

from collections.abc import Mapping
from typing import Any

from gan_dist.storage.checkpoint import CheckpointError

FIELDS = {
    "epoch": int,
    "images_seen": int,
    "config": dict,
    "precision": str,
    "scalers": dict,
    "world_size": int,
    "versions": dict,
    "trackers": dict,
}


def check_content(state: Mapping[str, Any]) -> None:
    """Raise CheckpointError if a field is missing or of a wrong type, as only another program would write it."""
    for name, kind in FIELDS.items():
        value = state.get(name)
        if type(value) is not kind or (type(value) is int and not 0 <= value < 2**63):
            raise CheckpointError(f"state.json has a {name} that is no {kind.__name__} of this trainer")
    data = state.get("data")  # which older runs do not record
    if data is not None and not (isinstance(data, dict) and data.keys() >= {"name", "shape", "sha256"}):
        raise CheckpointError("state.json has data that are no fingerprint")
    for scaler in state["scalers"].values():
        if not isinstance(scaler, dict) or not all(_is_number(number) for number in scaler.values()):
            raise CheckpointError("state.json has a loss scaler that is no number")


def _is_number(value: object) -> bool:
    """Whether a field of a GradScaler can be this: a finite number, and as a count not too long for it."""
    return (type(value) is int and 0 <= value < 2**31) or (type(value) is float and 0 <= value < float("inf"))
