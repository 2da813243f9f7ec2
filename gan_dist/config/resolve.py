"""From the command line to checked options."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gan_dist import models
from gan_dist.config.options import RULES, Config, unrecorded
from gan_dist.config.parsing import parse_options, read_recipe
from gan_dist.data.dataset import check as check_data
from gan_dist.errors import UserError
from gan_dist.evaluation import LEAST_IMAGES
from gan_dist.tracking import dashboards


def parse(argv: Sequence[str], command: str = "train") -> Config:
    """Resolve defaults < recipe < command line and check every value; --help of `command` prints and exits.

    Raises UserError.
    """
    without_help = [word for word in argv if word not in ("-h", "--help")]
    recipe = os.path.expanduser(parse_options(without_help, Config()).run.recipe)
    preset = read_recipe(recipe, Config())
    config = _expand_home(parse_options(argv, preset, command), preset.run.recipe)
    _check(config, num_processes=_launched_processes())
    return config


def read_record(file: Path) -> dict[str, Any]:
    """The options that a run folder's config.yaml records; of those that it lacks, what was done before them.

    Raises UserError.
    """
    try:
        return read_recipe(str(file), unrecorded()).to_dict()
    except UserError as error:
        flaw = str(error).removeprefix(f"--recipe {file}: ")
        raise UserError(f"run folder {file.parent}: its {file.name} cannot be used: {flaw}") from None


def _expand_home(config: Config, recipe: str) -> Config:
    """With ~ in folders as the shell reads it, which leaves it alone after `=` and in yaml."""
    run, data, checkpoint = config.run, config.data, config.checkpoint
    run_dir = run.run_dir and os.path.expanduser(run.run_dir)
    return dataclasses.replace(
        config,
        run=dataclasses.replace(run, recipe=recipe, run_dir=run_dir),
        data=dataclasses.replace(
            data, dataset=os.path.expanduser(data.dataset), data_dir=os.path.expanduser(data.data_dir)
        ),
        checkpoint=dataclasses.replace(checkpoint, resume=os.path.expanduser(checkpoint.resume)),
    )


def _launched_processes() -> int:
    """What a launcher says of its job, 1 without one. Raises UserError."""
    value = os.environ.get("WORLD_SIZE") or "1"
    if not value.isdecimal() or int(value) < 1:
        raise UserError(f"WORLD_SIZE={value}: a launcher sets this variable, to the number of processes; unset it")
    return int(value)


def _check(config: Config, num_processes: int) -> None:
    """Refuse values that no run can have, before a process group or data is touched."""
    for name, value in config.to_dict().items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            if RULES[name].may_be_zero and value < 0:
                raise UserError(f"--{name} {value}: must be 0 or greater")
            if not RULES[name].may_be_zero and not 0 < value < float("inf"):
                raise UserError(f"--{name} {value}: must be greater than 0")
    if config.output.eval_images < LEAST_IMAGES:
        raise UserError(f"--eval-images {config.output.eval_images}: must be at least {LEAST_IMAGES}")
    if config.model.clusters is not None:
        if not config.model.conditional:
            raise UserError(f"--clusters {config.model.clusters}: needs --conditional")
        if config.model.clusters < 2:
            raise UserError(f"--clusters {config.model.clusters}: must be at least 2")
    if config.optimizer.mismatch and not config.model.conditional:
        raise UserError(f"--mismatch {config.optimizer.mismatch}: needs --conditional; take --mismatch 0 without")
    if config.optimizer.lr_decay_start >= 1:
        raise UserError(f"--lr-decay-start {config.optimizer.lr_decay_start}: must be less than 1")
    if config.optimizer.lr_end > 1:
        raise UserError(f"--lr-end {config.optimizer.lr_end}: must be at most 1")
    if not all(0 <= beta < 1 for beta in config.optimizer.betas):
        raise UserError(f"--betas {config.optimizer.betas}: both must be at least 0 and less than 1")
    check_data(config.data.dataset, config.data.image_size, config.data.background)
    models.check(config.model.model)
    models.read_arguments(config.model.model_args)
    dashboards.check(config.output.trackers)
    _check_batch(config, num_processes)
    if config.run.dtype == "float64" and config.run.mixed_precision not in (None, "no"):
        raise UserError(f"--mixed-precision {config.run.mixed_precision}: needs --dtype float32")


def _check_batch(config: Config, num_processes: int) -> None:
    batch_size, accumulate = config.run.batch_size, config.optimizer.accumulate
    if batch_size % accumulate:
        lower = batch_size // accumulate * accumulate
        nearest = f"{lower} or {lower + accumulate}" if lower else accumulate
        raise UserError(f"--accumulate {accumulate}: --batch-size {batch_size} is no multiple; take {nearest} for it")
    most = batch_size // accumulate
    if num_processes > most:
        each = f"one image for each of {num_processes} processes"
        if accumulate > 1:
            each += f" in each of {accumulate} parts"
        fewer = f"start {most} (on GPUs: CUDA_VISIBLE_DEVICES={','.join(map(str, range(most)))})"
        raise UserError(f"--batch-size {batch_size}: is not {each}; take {num_processes * accumulate}, or {fewer}")
