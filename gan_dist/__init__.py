"""GAN training with Hugging Face Accelerate: the same numbers for every number of processes."""

import importlib
from typing import Any

__version__ = "0.1.0"

# Imported on first use, so that `train.py --help` does not wait for torch.
_PUBLIC = {"load_generator": "gan_dist.storage.weights", "MinibatchStd": "gan_dist.distributed.batchnorm"}


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'gan_dist' has no attribute {name!r}")
