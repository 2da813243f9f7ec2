"""One step of a run again: from the nearest checkpoint before it, in one process, on any machine."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tqdm import trange

from gan_dist import models
from gan_dist.adversarial.finite import Diverged, check_finite
from gan_dist.adversarial.inside import Recorder
from gan_dist.adversarial.step import Batch, StepResult
from gan_dist.config.resolve import parse
from gan_dist.data.dataset import fingerprint
from gan_dist.distributed.processes import make_accelerator
from gan_dist.errors import UserError
from gan_dist.storage import checkpoint
from gan_dist.storage.checkpoint import CheckpointError
from gan_dist.storage.checkpoints import newest_first, newest_sound
from gan_dist.storage.run_folder import CODE, OPTIONS
from gan_dist.training.build import build
from gan_dist.training.mathematics import check_same_data
from gan_dist.training.record import check_content


class Replayed(NamedTuple):
    """What a step did."""

    begun_at: int  # the step of the checkpoint, 0 for the first weights
    world_size: int | None  # processes that trained the run when that checkpoint was saved
    precision: str
    batch: Batch
    result: StepResult
    inside: Recorder


def replay(run: Path, step: int, options: Sequence[str] = ()) -> Replayed:
    """Run step 1, 2, ... of the run in a folder again; nothing is written to it.

    options: of train, in place of those that the run recorded, such as --data-dir. Raises UserError.
    """
    if not (run / OPTIONS).is_file():
        raise UserError(f"{run}: is no run; name a folder with a {OPTIONS}")
    config = parse(["--recipe", str(run / OPTIONS), *options, "--eval-every", "0"])
    if models.is_own(config.model.model) and "--model" not in options:
        words = "which is no part of gan_dist; name that code with --model to have it run"
        raise UserError(f"{run}: made by --model {config.model.model}, {words} (the run has a copy, {CODE})")
    precision = _precision(run / "checkpoints") or config.run.mixed_precision
    accelerator = make_accelerator("no" if precision == "fp16" and not torch.cuda.is_available() else precision)
    data, batches, state, total_steps, _ = build(config, accelerator)
    if step > total_steps:
        raise UserError(f"--step {step}: the run has {total_steps} steps")
    fingerprint_here = fingerprint(data)

    def check(path: Path) -> dict[str, Any]:
        content = checkpoint.read_state(path)
        check_content(content)
        check_same_data(content.get("data"), fingerprint_here)
        checkpoint.verify(path, content, state.tensors())
        return content

    try:
        found = newest_sound(run / "checkpoints", check, before=step)
    except CheckpointError as error:
        raise UserError(f"{run}: {error} before step {step}; take a later --step, or another run") from None
    begun_at = 0
    if found:
        path, content = found
        checkpoint.load_into(path, state.tensors())
        state.load_scaler_states(content["scalers"])
        begun_at = content["step"]
    for number in trange(begun_at + 1, step, desc=f"to step {step}", unit="step", disable=None):
        state.train(number, batches(number))
        try:
            check_finite(number, state.tensors())
        except Diverged:
            words = f"weights were no longer finite after step {number}; take --step {number}"
            raise UserError(f"--step {step}: {words}") from None
    batch = batches(step)
    with Recorder(state.generator, state.discriminator, bool(state.step.apart)) as inside:
        result = state.train(step, batch)
    inside.note_state(state.tensors())
    world_size = found[1]["world_size"] if found else None
    return Replayed(begun_at, world_size, accelerator.mixed_precision, batch, result, inside)


def _precision(checkpoints: Path) -> str | None:
    """That of a run; None without a checkpoint."""
    for path in newest_first(checkpoints):
        try:
            return str(checkpoint.read_state(path)["precision"])
        except (CheckpointError, KeyError):
            continue
    return None
