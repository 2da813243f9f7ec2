"""Checks of a pair of networks before the first step; what does not fit is one line."""

import contextlib
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from gan_dist import models
from gan_dist.errors import UserError
from gan_dist.models._behaviour import unchanged

MAX_ROWS = 8  # enough to see how a network behaves, also one that forms groups of 4
# Of autograd's nodes: those that change the shape or the type of an output and not its values.
SHAPE_NODES = ("View", "Squeeze", "Unsqueeze", "Reshape", "UnsafeView", "Alias", "ToCopy", "Select", "Permute")


def make(
    name: str, module: ModuleType, offered: Mapping[str, Any], dtype: torch.dtype, rows: int, compared: int = 0
) -> dict[str, nn.Module]:
    """{"Generator": ..., "Discriminator": ...} of a pair, on the CPU, once they have shown that they fit a run.

    name, module: what `models.load` took and gave. offered: what their constructors may take, with latent_dim,
    image_shape and num_classes, which is 0 for networks without labels. rows: of all processes together in one forward.
    compared: M, if D is to take labels [N, M]. Raises UserError.
    """
    kinds = {kind: getattr(module, kind) for kind in models.CLASSES}
    for key in offered.keys() - {"latent_dim", "image_shape", "num_classes"}:
        if not any(models.arguments(kind, {key: None}) for kind in kinds.values()):
            raise UserError(f"--model-args {key}: no constructor in --model {name} takes it")
    for kind in kinds if offered["num_classes"] else ():
        if not models.arguments(kinds[kind], {"num_classes": 0}):
            raise UserError(f"--conditional: --model {name}: {kind} takes no num_classes; take --no-conditional")
    pair: dict[str, nn.Module] = {}
    for kind in kinds:
        for missing in models.missing_arguments(kinds[kind], offered):
            words = f"give it with --model-args {missing}=VALUE, or a default in the file"
            raise UserError(f"--model {name}: {kind} needs the argument {missing}; {words}")
        with _telling(f"--model {name}: {kind} cannot be made"):
            pair[kind] = models.build(kinds[kind], offered)
        _check_parameters(f"--model {name}: {kind}", pair[kind])
        pair[kind].to(dtype)
    noise = torch.zeros(min(rows, MAX_ROWS), offered["latent_dim"], dtype=dtype)
    labels = (torch.arange(len(noise)) % offered["num_classes"],) if offered["num_classes"] else ()
    with unchanged(pair["Generator"]), unchanged(pair["Discriminator"]):
        _check_behaviour(f"--model {name}: ", pair, noise.normal_(), labels, tuple(offered["image_shape"]))
        if compared:
            each, shape = torch.stack(labels * compared, dim=1), f"[N, {compared}]"
            with _telling(f"--mismatch: --model {name}: Discriminator must take labels {shape}; take --mismatch 0"):
                images = torch.zeros(len(noise), *offered["image_shape"], dtype=dtype)
                assert pair["Discriminator"](images, each).shape == each.shape, f"its logits are not {shape}"
    for kind, network in pair.items():
        with _telling(f"--model {name}: {kind} cannot be saved and loaded again"):
            tensors = {key: tensor.detach().clone().contiguous() for key, tensor in network.state_dict().items()}
            models.build(kinds[kind], offered).load_state_dict(load(save(tensors)), strict=True)
    return pair


@contextlib.contextmanager
def _telling(words: str) -> Iterator[None]:
    """Turn whatever somebody's code raises inside into a UserError that begins with `words`."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{words} ({error})") from None
    except Exception as error:
        raise UserError(f"{words} ({models.told(error)})") from None


def _check_parameters(who: str, network: nn.Module) -> None:
    if not isinstance(network, nn.Module):
        raise UserError(f"{who} is no torch.nn.Module")
    parameters = dict(network.named_parameters())
    for key, parameter in parameters.items():
        if isinstance(parameter, UninitializedParameter):
            raise UserError(f"{who}'s {key} is lazy; give its layer the size of its input")
        if not parameter.is_floating_point():
            raise UserError(f"{who}'s parameter {key} is {parameter.dtype}; make it a buffer")
    if not any(parameter.requires_grad for parameter in parameters.values()):
        raise UserError(f"{who} has no parameter to train")


def _check_behaviour(
    who: str, pair: Mapping[str, nn.Module], noise: Tensor, labels: tuple[Tensor, ...], image_shape: tuple[int, ...]
) -> None:
    rows = len(noise)
    single = " with a single row to a part of the batch; take a larger --batch-size or a smaller --accumulate"
    hint = single if rows == 1 else ""
    with _telling(f"{who}Generator fails on noise {list(noise.shape)}{hint}"):
        fake = pair["Generator"](noise, *labels)
    if _shape(fake) != [rows, *image_shape]:
        raise UserError(f"{who}Generator makes {_kind(fake)} of {rows} noise vectors, not {[rows, *image_shape]}")
    if fake.abs().max() > 1.001:
        raise UserError(f"{who}Generator's images leave [-1, 1]; end it in Tanh")
    with _telling(f"{who}Discriminator fails on images {_shape(fake)}{hint}"):
        logits = pair["Discriminator"](fake.detach(), *labels)
    if _shape(logits)[:1] != [rows] or logits.numel() != rows:
        raise UserError(f"{who}Discriminator makes {_kind(logits)} of {rows} images, not {rows} logits")
    if _ends_in_sigmoid(logits):
        raise UserError(f"{who}Discriminator ends in a Sigmoid; leave it out, the loss takes logits")
    for kind, output in (("Generator", fake), ("Discriminator", logits)):
        with _telling(f"{who}{kind} has no gradient"):
            output.sum().backward()
        unused = [key for key, p in pair[kind].named_parameters() if p.requires_grad and p.grad is None]
        pair[kind].zero_grad()
        if unused:
            raise UserError(f"{who}{kind} does not use its parameter {unused[0]}; remove it, or freeze it")


def _shape(output: object) -> list[int]:
    """[] for what is no tensor."""
    return list(output.shape) if isinstance(output, Tensor) else []


def _kind(output: object) -> str:
    return str(_shape(output)) if isinstance(output, Tensor) else f"a {type(output).__name__}"


def _ends_in_sigmoid(output: Tensor) -> bool:
    """Whether the last operation that made the values of `output` was a sigmoid."""
    node = output.grad_fn
    while node is not None and node.name().startswith(SHAPE_NODES):
        node = node.next_functions[0][0]
    return node is not None and node.name().startswith("Sigmoid")
