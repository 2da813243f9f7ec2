"""A step from inside: what the layers of both networks put out, the gradients that came back, in the order of time."""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle


class Numbers(NamedTuple):
    """What can be said of a tensor in one row: of its numbers that are finite, 0 if none is."""

    mean: float
    deviation: float
    largest: float  # of the absolute values
    bad: int  # how many are NaN or infinite
    size: int


class Event(NamedTuple):
    """A tensor that a step computed."""

    network: str
    use: str  # which pass through the network
    layer: str
    kind: str  # "output"; "gradient", of the output; "weight's gradient"; "state", after the step
    numbers: Numbers
    largest_input: float = 0.0  # of the layer, for an output


class Recorder:
    """Collects events of one step while it is entered. While G learns, D's weights are frozen.

    Layers are the modules without parts. events: in the order in which they came, at last the gradients of weights.
    images: what G put out, pass by pass. apart: whether D runs on real and on generated images separately.
    """

    def __init__(self, generator: nn.Module, discriminator: nn.Module, apart: bool) -> None:
        self.networks = {"G": generator, "D": discriminator}
        self.events: list[Event] = []
        self.images: list[Tensor] = []
        self._first_uses = ["on real images", "on generated images"] if apart else ["on real and generated images"]
        self._use = {"G": "", "D": ""}
        self._passes: dict[str, int] = {}
        self._handles: list[RemovableHandle] = []

    def __enter__(self) -> "Recorder":
        for name, network in self.networks.items():
            self._handles.append(network.register_forward_pre_hook(partial(self._begin, name)))
            for layer, module in network.named_modules():
                if not any(True for _ in module.children()):
                    self._handles.append(module.register_forward_hook(partial(self._output, name, layer)))
        self._handles.append(self.networks["G"].register_forward_hook(lambda _, __, x: self.images.append(x.detach())))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()
        for name, network in self.networks.items():
            for weight, parameter in network.named_parameters():
                if parameter.grad is not None:
                    self.events.append(Event(name, "", weight, "weight's gradient", numbers_of(parameter.grad)))

    def note_state(self, tensors: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Of {part: {name: tensor}} after the step."""
        for part, group in tensors.items():
            for name, tensor in group.items():
                self.events.append(Event(part, "", name, "state", numbers_of(tensor)))

    def first_bad(self) -> int | None:
        """The place in `events` of the first tensor with a number that is not finite."""
        return next((place for place, event in enumerate(self.events) if event.numbers.bad), None)

    def _begin(self, name: str, network: nn.Module, _: Any) -> None:
        if name == "G":
            use = "on noise"
        elif not any(weight.requires_grad for weight in network.parameters()):
            use = "for G's update"
        else:
            use = next((use for use in self._first_uses if use not in self._passes), "for the penalty")
        self._passes[use] = self._passes.get(use, 0) + 1
        self._use[name] = use if self._passes[use] == 1 else f"{use}, {self._passes[use]}"

    def _output(self, name: str, layer: str, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if not isinstance(output, Tensor) or not output.is_floating_point():
            return
        largest = max(
            (numbers_of(x).largest for x in inputs if isinstance(x, Tensor) and x.is_floating_point()), default=0.0
        )
        use = self._use[name]
        self.events.append(Event(name, use, layer, "output", numbers_of(output), largest))
        if output.requires_grad:

            def note(gradient: Tensor) -> None:
                self.events.append(Event(name, use, layer, "gradient", numbers_of(gradient)))

            output.register_hook(note)


def numbers_of(tensor: Tensor) -> Numbers:
    """Computed in float64."""
    everything = tensor.detach().double().flatten()
    x = everything[torch.isfinite(everything)]
    bad = everything.numel() - x.numel()
    if not x.numel():
        return Numbers(0.0, 0.0, 0.0, bad, bad)
    return Numbers(float(x.mean()), float(x.std(correction=0)), float(x.abs().max()), bad, everything.numel())
