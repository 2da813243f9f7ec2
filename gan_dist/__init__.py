"""GAN training with Hugging Face Accelerate: the same numbers for every number of processes."""

from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import what needs torch on first use, so that `train.py --help` does not wait for it."""
    if name == "load_generator":
        from gan_dist.storage.weights import load_generator

        return load_generator
    raise AttributeError(f"module 'gan_dist' has no attribute {name!r}")
