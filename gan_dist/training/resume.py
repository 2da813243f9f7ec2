"""Where a run starts: anew, or from which checkpoint."""

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from gan_dist import models
from gan_dist.config.options import Config
from gan_dist.distributed.processes import run_first, start_time
from gan_dist.errors import UserError
from gan_dist.storage import checkpoint
from gan_dist.storage.checkpoint import CheckpointError
from gan_dist.storage.checkpoints import later_than, make_newest, newest_first, newest_sound
from gan_dist.storage.run_folder import RunFolder, began_here, new_folder, writing
from gan_dist.training.mathematics import check_record, check_same_data, check_same_mathematics
from gan_dist.training.record import check_content
from gan_dist.training.state import TrainingState

logger = logging.getLogger(__name__)

Found = tuple[Path, dict[str, Any]]  # a checkpoint and its state
Check = Callable[[Path], dict[str, Any]]

NOTHING_THERE = "--resume {}: neither a checkpoint nor a run; take auto, never, RUN/checkpoints/step_N, or RUN"


def run_path(config: Config, accelerator: Accelerator) -> Path:
    """What --run-dir names, the run that --resume names, or a new folder.

    For the main process, which alone writes; the others get a path where nothing can be. Raises UserError.
    """
    is_main = accelerator.is_main_process
    return run_first(accelerator, is_main, lambda: _run_path(config) if is_main else Path(os.devnull))


def _run_path(config: Config) -> Path:
    asked = config.checkpoint.resume
    if config.run.run_dir:
        return Path(config.run.run_dir)
    if asked in ("auto", "never"):
        return new_folder(f"{config.run.recipe}-{time.strftime('%Y%m%d-%H%M%S', time.localtime(start_time()))}")
    path = Path(asked).absolute()
    if (path / "config.yaml").is_file():
        return path
    for folder in path.parents:  # the checkpoint itself may be gone when a launcher restarts the job
        if folder.name == "checkpoints" and (folder.parent / "config.yaml").is_file():
            return folder.parent
    if not (path / "state.json").exists():
        raise UserError(NOTHING_THERE.format(asked))
    raise UserError(f"--resume {asked}: this checkpoint lies in no run; name a folder for a new one with --run-dir")


def resume(
    config: Config, precision: str, data: dict[str, Any], folder: RunFolder, training: TrainingState
) -> tuple[int, str]:
    """Enter the run folder, load the checkpoint to go on from into `training` -> steps done, id of the run.

    data: the fingerprint of what the run trains on. For the main process. Raises UserError; but for one of a full disk,
    then nothing was made or changed.
    """

    def check(path: Path) -> dict[str, Any]:
        state = checkpoint.read_state(path)
        check_content(state)
        check_same_mathematics(state["config"], config)
        check_same_data(state.get("data"), data)
        if state["precision"] != precision:
            raise UserError(f"--mixed-precision {precision}: {path} was made with {state['precision']}; take that")
        checkpoint.verify(path, state, training.tensors())
        if _keys(state["scalers"]) != _keys(training.scaler_states()):
            raise CheckpointError("state.json has other loss scalers than this run")
        return state

    # A launcher that restarts a job repeats the command, not the decision.
    named = None if began_here(folder.path) else _named(config.checkpoint.resume, folder, check)
    folder.enter(lambda record: check_record(record, config), must_be_new=config.checkpoint.resume == "never")
    found = named or _newest(folder, check)
    steps_done, recorded_id = 0, None
    if found:
        path, state = found
        if state["versions"].get("model", training.version) != training.version:
            logger.warning("the file of --model %s is not what it was at %s", config.model.model, path)
        checkpoint.load_into(path, training.tensors())
        training.load_scaler_states(state["scalers"])
        steps_done = state["step"]
        if path.resolve().parent == folder.checkpoints.resolve():  # or else this is a new branch of another run
            recorded_id = state["trackers"].get("id")
        logger.info("going on from %s", path)
    # In the dashboards' run steps only grow: what goes back is a new one.
    run_id = folder.take_id(recorded_id, anew=named is not None and later_than(folder.checkpoints, steps_done) != [])
    if named:
        with writing(folder.path):
            make_newest(folder.checkpoints, named[0], steps_done)
    code = models.code_of(training.module)
    folder.begin(config.to_yaml(), code if models.is_own(config.model.model) else None)
    folder.cut_metrics(steps_done)
    return steps_done, run_id


def _named(asked: str, folder: RunFolder, check: Check) -> Found | None:
    """The checkpoint that --resume names, or the newest of another run that it names; None for this run's newest."""
    if asked in ("auto", "never"):
        return None
    path = Path(asked)
    try:
        if (path / "state.json").exists():
            return path, check(path)
        if not (path / "config.yaml").is_file():
            raise UserError(NOTHING_THERE.format(asked))
        if not newest_first(path / "checkpoints"):
            raise UserError(f"--resume {asked}: this run has no checkpoint yet; start it again with --run-dir {asked}")
        return None if path.resolve() == folder.path.resolve() else newest_sound(path / "checkpoints", check)
    except CheckpointError as error:
        raise UserError(f"--resume {asked}: {error}; name another checkpoint") from None


def _newest(folder: RunFolder, check: Check) -> Found | None:
    try:
        return newest_sound(folder.checkpoints, check)
    except CheckpointError as error:
        raise UserError(f"run folder {folder.path}: {error}; name another with --run-dir to start anew") from None


def _keys(scalers: dict[str, dict[str, float]]) -> dict[str, set[str]]:
    return {name: set(numbers) for name, numbers in scalers.items()}
