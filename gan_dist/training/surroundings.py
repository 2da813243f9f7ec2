"""What a run changes in its process beyond its own objects."""

import contextlib
import logging
import random
from collections.abc import Iterator

import numpy as np
import torch
from accelerate.state import AcceleratorState, GradientState, PartialState

from gan_dist import stdio


@contextlib.contextmanager
def restored() -> Iterator[None]:
    """Context for a run in a process that goes on: what gan_dist logs is shown, and all is put back at the end.

    Accelerate keeps one state for a process; the run gets one of its own.
    """
    logger = logging.getLogger("gan_dist")
    log = logger.handlers[:], logger.level, logger.propagate
    states = [kind._shared_state for kind in (PartialState, AcceleratorState, GradientState)]
    kept = [dict(state) for state in states]
    of_python, of_numpy = random.getstate(), np.random.get_state()
    precision, tf32 = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    for state in states:
        state.clear()
    stdio.show_log()
    try:
        with torch.random.fork_rng():
            yield
    finally:
        for state, before in zip(states, kept, strict=True):
            state.clear()
            state.update(before)
        random.setstate(of_python)
        np.random.set_state(of_numpy)
        torch.set_float32_matmul_precision(precision)
        torch.backends.cudnn.allow_tf32 = tf32
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]
        logger.handlers[:], logger.level, logger.propagate = log
