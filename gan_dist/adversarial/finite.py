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
    """Raise Diverged if a tensor of {part: {name: tensor}} holds NaN or infinity.

    Waits for the device once if all is well.
    """
    named = {f"{part}'s {name}": tensor.detach() for part, group in tensors.items() for name, tensor in group.items()}
    # NaN and infinity go through a sum, which is quick; that of large numbers may be infinite as well.
    sums = [x.sum().abs().double() for x in named.values() if x.is_floating_point() or x.is_complex()]
    if not sums or torch.stack([each.to(sums[0].device) for each in sums]).isfinite().all():
        return
    for name, tensor in named.items():
        if not torch.isfinite(tensor).all():
            raise Diverged(step, f"{name} is not finite")
