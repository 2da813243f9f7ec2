"""The state before a step that went wrong: kept now and then, and found by running the steps since once more."""

import torch
from torch import Tensor

from gan_dist.adversarial.finite import Diverged, check_finite
from gan_dist.data.batches import Batches
from gan_dist.training.state import TrainingState


class LastGood:
    """A copy of what training changes, in the main process's memory. Every process must make all calls at once."""

    def __init__(self, state: TrainingState, device: torch.device, is_main: bool) -> None:
        self.state, self.device, self.is_main, self.step = state, device, is_main, -1
        self._copies: dict[str, dict[str, Tensor]] = {}
        self._scalers: dict[str, dict[str, float]] = {}

    def keep(self, step: int) -> None:
        """Copy the state after `step`. Waits for the device. Raises Diverged if a number in it is not finite."""
        tensors = self.state.tensors()
        check_finite(step, tensors)
        self.step = step
        if not self.is_main:
            return
        self._scalers = self.state.scaler_states()
        for part, group in tensors.items():
            copies = self._copies.setdefault(part, {})
            for name, tensor in group.items():
                if name in copies:
                    copies[name].copy_(tensor)
                else:
                    copies[name] = tensor.detach().to("cpu", copy=True)

    def go_before(self, step: int, batches: Batches) -> int:
        """Bring the state back to what it was before the step that went wrong -> that step.

        It is `step`, where a number that is not finite was seen, or one before, after which the state had such numbers.
        """
        self._put_back()
        for number in range(self.step + 1, step):
            self.state.train(number, batches(number))
            try:
                self.keep(number)
            except Diverged:
                self._put_back()
                return number
        return step

    def _put_back(self) -> None:
        live = self.state.tensors()
        for part, group in self._copies.items():
            for name, copy in group.items():
                live[part][name].copy_(copy)
        if self.is_main:
            self.state.load_scaler_states(self._scalers)
        self.state.share(self.device)
