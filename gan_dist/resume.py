"""From where a run goes on."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast

from gan_dist import checkpoint
from gan_dist.checkpoint import CheckpointError
from gan_dist.config import Config
from gan_dist.errors import UserError
from gan_dist.networks import Networks
from gan_dist.processes import start_time
from gan_dist.run_folder import RunFolder, check_same_mathematics
from gan_dist.saver import newest_first


def run_path(config: Config, accelerator: Accelerator) -> Path:
    """What --run-dir names, the run of the checkpoint that --resume names, or a new folder."""
    if config.run.run_dir:
        return Path(config.run.run_dir)
    if config.checkpoint.resume not in ("auto", "never"):
        return Path(config.checkpoint.resume).absolute().parent.parent
    now = int(broadcast(torch.tensor(int(start_time()), device=accelerator.device)))
    return Path("runs", f"{config.run.recipe}-{time.strftime('%Y%m%d-%H%M%S', time.localtime(now))}")


def resume(config: Config, precision: str, folder: RunFolder, networks: Networks) -> tuple[int, str]:
    """Enter the run folder, load the checkpoint to go on from into `networks` -> steps done, id of the run.

    For the main process. Raises UserError.
    """

    def check(path: Path) -> dict[str, Any]:
        state = checkpoint.read_state(path)
        check_same_mathematics(state["config"], config)
        if state["precision"] != precision:
            raise UserError(f"--mixed-precision {precision}: {path} was made with {state['precision']}; take that")
        checkpoint.verify(path, state, networks.tensors())
        if _keys(state["scalers"]) != _keys(networks.scaler_states()):
            raise CheckpointError("state.json has other loss scalers than this run")
        return state

    folder.enter(config)
    asked = config.checkpoint.resume
    if asked in ("auto", "never"):
        found = _newest_sound(folder.checkpoints, check)
    else:
        try:
            found = Path(asked), check(Path(asked))
        except CheckpointError as error:
            raise UserError(f"--resume {asked}: {error}; name another checkpoint") from None
    steps_done, recorded_id = 0, None
    if found:
        path, state = found
        checkpoint.load_into(path, networks.tensors())
        networks.load_scaler_states(state["scalers"])
        steps_done = state["step"]
        if path.absolute().parent == folder.checkpoints.absolute():  # or else this is a new branch of another run
            recorded_id = state["trackers"].get("id")
        print(f"going on from {path}", file=sys.stderr)
    folder.cut_metrics(steps_done)
    return steps_done, folder.take_id(recorded_id)


def _keys(scalers: dict[str, dict[str, float]]) -> dict[str, set[str]]:
    return {name: set(numbers) for name, numbers in scalers.items()}


def _newest_sound(folder: Path, check: Callable[[Path], dict[str, Any]]) -> tuple[Path, dict[str, Any]] | None:
    """The newest checkpoint that passes `check`, with its state; None if there is no checkpoint at all."""
    candidates = newest_first(folder)
    for candidate in candidates:
        try:
            return candidate, check(candidate)
        except CheckpointError as error:
            print(f"warning: {candidate} is skipped: {error}", file=sys.stderr)
    if candidates:
        raise UserError(f"--resume auto: no checkpoint in {folder} is sound; name another --run-dir to start anew")
    return None
