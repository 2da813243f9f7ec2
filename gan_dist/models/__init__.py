"""Pairs of networks: one file here is one pair, classes `Generator` and `Discriminator`.

Generator(latent_dim): noise [N, latent_dim] -> images [N, 1, 28, 28] in [-1, 1].
Discriminator(): images [N, 1, 28, 28] -> logits [N], above 0 for "real".
"""

import importlib
import pkgutil
from types import ModuleType


def names() -> list[str]:
    """What `--model` takes."""
    return [module.name for module in pkgutil.iter_modules(__path__) if module.name != "contract"]


def load(name: str) -> ModuleType:
    """The module of one pair. Raises ValueError for a name that is not in `names()`."""
    if name not in names():
        raise ValueError(f"no model {name!r} in gan_dist/models")
    return importlib.import_module(f"{__name__}.{name}")
