"""The generators of one run: of its checkpoints, its best and its last."""

import logging
import os
from pathlib import Path

from torch import nn

from gan_dist.errors import UserError
from gan_dist.storage.checkpoints import newest_first
from gan_dist.storage.weights import load_generator

MOST = 6  # besides the best
logger = logging.getLogger(__name__)


def load_all(path: str | Path, model: str | Path | None = None) -> dict[str, nn.Module]:
    """{"step 1000 (last)": generator}, the newest first; of many steps some, evenly chosen, with the last and the best.

    path, model: as `load_generator` takes them; of a checkpoint or a folder of weights it is that generator alone.
    Those besides the last that cannot be loaded are logged and left out. Raises UserError.
    """
    last = load_generator(path, model)
    name_of_last = f"step_{last.step:0>8}"
    run = Path(os.path.expanduser(path))
    bests = newest_first(run / "best")
    folders = {each.name: each for each in (*newest_first(run / "checkpoints"), *bests)}
    names = sorted({name_of_last, *folders}, reverse=True)
    names_of_best = {each.name for each in bests[:1]}
    chosen = {names[i * (len(names) - 1) // (MOST - 1)] for i in range(MOST)} | names_of_best
    found = {}
    for name in sorted(chosen, reverse=True):
        marks = ["last"] * (name == name_of_last) + ["best"] * (name in names_of_best)
        words = f"step {name.removeprefix('step_').lstrip('0')}" + (f" ({', '.join(marks)})" if marks else "")
        try:
            found[words] = last if name == name_of_last else load_generator(folders[name], model)
        except UserError as error:
            logger.warning("%s is not shown: %s", name, error)
    return found
