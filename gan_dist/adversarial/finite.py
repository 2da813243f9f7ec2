"""Checks for NaN and infinity."""

from collections.abc import Mapping

import torch
from torch import Tensor


class Diverged(RuntimeError):
    """A loss or a weight is no longer a finite number. step: where that was seen."""

    def __init__(self, step: int, what: str) -> None:
        super().__init__(f"step {step}: {what}; lower learning rates may help")
        self.step, self.what = step, what


def check_finite(step: int, tensors: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Raise Diverged if a tensor of {part: {name: tensor}} holds NaN or infinity."""
    for part, group in tensors.items():
        for name, tensor in group.items():
            if not torch.isfinite(tensor).all():
                raise Diverged(step, f"{part}'s {name} is not finite")


def all_finite(tensors: Mapping[str, Mapping[str, Tensor]]) -> bool:
    """Whether no tensor of {part: {name: tensor}} holds NaN or infinity. Waits for the device, once if all is well."""
    numbers = [x.detach() for group in tensors.values() for x in group.values() if x.is_floating_point()]
    # NaN and infinity go through a sum, which is quick; that of large numbers may be infinite as well.
    if torch.stack([x.sum().double() for x in numbers]).isfinite().all():
        return True
    return all(bool(torch.isfinite(x).all()) for x in numbers)
