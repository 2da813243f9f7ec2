"""Checks for NaN and infinity."""

from collections.abc import Mapping

import torch
from torch import Tensor


class Diverged(RuntimeError):
    """A loss or a weight is no longer a finite number."""


def check_finite(step: int, tensors: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Raise Diverged if a tensor of {part: {name: tensor}} holds NaN or infinity."""
    for part, group in tensors.items():
        for name, tensor in group.items():
            if not torch.isfinite(tensor).all():
                raise Diverged(f"step {step}: {part}'s {name} is not finite; lower learning rates may help")
