"""The trainer as a function: in the process of a notebook, or of somebody's script."""

import os
import signal
import threading
from typing import Any

from gan_dist.config.options import RULES, Config
from gan_dist.config.parsing import as_words, unknown_option
from gan_dist.config.resolve import parse
from gan_dist.errors import UserError
from gan_dist.training.run import Run


def train(recipe: str = "mnist", **options: Any) -> Run:
    """Train a GAN in this process -> its run.

    options: those of the command, with underscores: epochs=2, batch_size=64, conditional=False, run_dir="runs/a".
    Afterwards the process is as it was: signals, Accelerate's state, torch's settings and generators of random numbers.
    An interrupt (Ctrl-C) stops at the end of a step, saves the state and then raises KeyboardInterrupt.
    Raises UserError, with the option's name; Diverged if a loss or a weight is no longer finite; OSError if the last
    state could not be saved.
    """
    if threading.current_thread() is not threading.main_thread():
        raise UserError("gan_dist.train: signals reach the main thread alone; call it there, or start the command")
    outcome = _outcome({"recipe": recipe, **options})
    if isinstance(outcome, Run):
        return outcome
    raise outcome


def _outcome(options: dict[str, Any]) -> Run | BaseException:
    """The run, or what to raise, made anew: a notebook keeps an exception with all that its traceback leads to, such as
    the lock of a run folder and the memory of a GPU.
    """
    try:
        return _train(_config(options))
    except UserError as error:
        return UserError(str(error))
    except KeyboardInterrupt as error:
        return KeyboardInterrupt(*error.args)


def _config(options: dict[str, Any]) -> Config:
    for name in options:
        if name.replace("_", "-") not in RULES:
            raise unknown_option("--" + name.replace("_", "-"), RULES)
    return parse(as_words(options, Config()))


def _train(config: Config) -> Run | BaseException:
    from gan_dist import models  # these here, so that errors do not wait for torch
    from gan_dist.adversarial.finite import Diverged
    from gan_dist.distributed.processes import share_text
    from gan_dist.training.surroundings import restored
    from gan_dist.training.trainer import STATE_NOT_SAVED, Trainer

    with restored():
        trainer = Trainer(config)
        try:
            path = share_text(str(trainer.folder.path), trainer.accelerator.device)
            code = trainer.run(may_exit=False)
        finally:
            trainer.folder.leave()
    if trainer.diverged:
        return Diverged(trainer.diverged.step, trainer.diverged.what)
    if code == STATE_NOT_SAVED:
        return OSError(f"{path}: the last state could not be saved ({trainer.saver.failure or 'see the log'})")
    if code == 128 + signal.SIGINT:
        words = f"stopped after step {trainer.steps_done}, which is saved; the same call with run_dir={path!r} goes on"
        return KeyboardInterrupt(words)
    if code > 128:  # which the process would have ended at
        signal.raise_signal(code - 128)
    model = config.model.model
    own = os.path.abspath(model) if model.endswith(".py") else model
    return Run(path, own if models.is_own(model) else None)
