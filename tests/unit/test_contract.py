"""What a pair of networks must do: each thing that it does not is told in one line."""

from pathlib import Path

import pytest
import torch

from gan_dist import models
from gan_dist.errors import UserError
from gan_dist.models._contract import make
from tests.harness.pair import D_END, D_LAYER, D_MADE, PAIR, write

GIVEN = {"latent_dim": 8, "image_shape": (1, 28, 28), "num_classes": 0}
ODD_KEYS = "torch.odd = n = getattr(torch, 'odd', 0) + 1; self.register_buffer(f'b{n}', torch.ones(1))"

# what is changed in PAIR, to what, what is said
WRONG = {
    "sigmoid": (D_END, f"{D_END}.sigmoid().squeeze(1)", "Discriminator ends in a Sigmoid"),
    "sigmoid layer": (D_END, "return nn.Sigmoid()(self.layer(images.flatten(1)))", "Discriminator ends in a Sigmoid"),
    "another size": ("-1, 1, 28, 28", "-1, 1, 14, 56", r"Generator makes \[8, 1, 14, 56\] of 8 noise vectors"),
    "no shape": (".view(-1, 1, 28, 28)", "", r"makes \[8, 784\] of 8 noise vectors, not \[8, 1, 28, 28\]"),
    "no tanh": (".tanh()", ".mul(9)", r"images leave \[-1, 1\]; end it in Tanh"),
    "no logits": (D_END, "return images", r"Discriminator makes \[8, 1, 28, 28\] of 8 images, not 8 logits"),
    "a dict": (D_END, 'return {"logits": images}', "makes a dict of 8 images, not 8 logits"),
    "a tuple": ("28, 28)", "28, 28), noise", r"makes a tuple of 8 noise vectors, not \[8, 1, 28, 28\]"),
    "lazy": (D_LAYER, "nn.LazyLinear(1)", "Discriminator's layer.weight is lazy"),
    "unused": (D_LAYER, f"{D_LAYER}; self.more = nn.Linear(2, 2)", "not use its parameter more.weight"),
    "frozen": (D_LAYER, f"{D_LAYER}.requires_grad_(False)", "Discriminator has no parameter to train"),
    "complex": (D_LAYER, "nn.Linear(784, 1, dtype=torch.cfloat)", "parameter layer.weight is torch.complex64"),
    "fails": (D_END, "return images.wrong", r"Discriminator fails on images .*AttributeError: .*mine.py:17\)"),
    "fails in torch": (D_END, "return self.layer(images)", r"Discriminator fails on images .*mat.*mine.py:17\)"),
    "needs more": (D_MADE, "def __init__(self, depth, *, a=1, **b):", "needs the argument depth; .*-args depth=VALUE"),
    "no class": ("class Discriminator", "class Critic", "has no class Discriminator"),
    "no module": ("class Discriminator(nn.Module)", "class Discriminator(list)", "Discriminator"),
    "syntax": ("import torch", "import torch torch", r"cannot be imported \(SyntaxError: .* \(mine.py, line 2\)\)$"),
    "a program": ("class Gen", "for _ in range(9):\n    torch.ones(1).sum().backward()\nclass Gen", "line 6 trains or"),
    "options": (
        "class Gen",
        "import argparse\nopt = argparse.ArgumentParser().parse_args()\nclass Gen",
        "line 6 trains",
    ),
    "ends": (
        "import torch\n",
        "import torch, sys; sys.exit(3)\n",
        r"cannot be imported \(SystemExit: 3, .*mine.py:2\)",
    ),
    "other keys": (D_LAYER, f"{D_LAYER}; {ODD_KEYS}", "Discriminator cannot be saved and loaded again"),
}


PROGRAM = """
def train():
    torch.ones(1, requires_grad=True).sum().backward()

if __name__ == "__main__":
    train()
    raise RuntimeError().backward()
"""


def make_from(file: Path, **arguments: object) -> None:
    make(str(file), models.load(str(file)), GIVEN | arguments, torch.float32, 64)


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_trained_is_told_in_one_line(name: str, tmp_path: Path) -> None:
    old, new, words = WRONG[name]
    assert old in PAIR
    with pytest.raises(UserError, match=f"--model {tmp_path}/mine.py: .*{words}") as told:
        make_from(write(tmp_path, PAIR.replace(old, new)))
    assert "\n" not in str(told.value)


def test_what_a_file_does_if_it_is_run_is_left_alone(tmp_path: Path) -> None:
    make_from(write(tmp_path, PAIR + PROGRAM))


def test_arguments_are_those_that_a_constructor_takes(tmp_path: Path) -> None:
    text = PAIR.replace(
        "def __init__(self):", "def __init__(self, hidden=1, *, image_shape):\n        assert hidden == 2"
    )
    make_from(write(tmp_path, text), hidden=2)
    with pytest.raises(UserError, match=r"--model-args wit: no constructor in --model .* takes it"):
        make_from(write(tmp_path, text), wit=2)
