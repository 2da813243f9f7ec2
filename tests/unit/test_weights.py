"""Final weights of any network: config.json where its arguments are known, every type, shared weights."""

import json
from pathlib import Path

import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

from gan_dist.models import linear
from gan_dist.storage.weights import load_generator, save_weights

METADATA = {"model": "linear", "dataset": "/home/me/[cats]: mine", "recipe": "linear", "seed": "0", "step": "1"}


class Plain(nn.Module):
    """No mixin; one weight under two names; buffers of several types."""

    def __init__(self) -> None:
        super().__init__()
        self.encode, self.decode = nn.Linear(3, 3), nn.Linear(3, 3)
        self.decode.weight = self.encode.weight
        self.register_buffer("mask", torch.tensor([True, False]))
        self.register_buffer("count", torch.tensor([1, -2], dtype=torch.int16))
        self.register_buffer("scale", torch.tensor([0.1, float("-inf")], dtype=torch.bfloat16))


def test_arguments_are_kept_for_from_pretrained(tmp_path: Path) -> None:
    generator = linear.Generator(latent_dim=7, hidden=5, image_shape=(3, 16, 24))
    save_weights(generator, tmp_path / "generator", METADATA, "generator")
    assert json.loads((tmp_path / "generator" / "config.json").read_text()) == {
        "latent_dim": 7,
        "hidden": 5,
        "image_shape": [3, 16, 24],
    }
    with safe_open(tmp_path / "generator" / "model.safetensors", "pt") as file:
        assert file.metadata() == METADATA
    card = (tmp_path / "generator" / "README.md").read_text()
    assert "/home" not in card  # no path of this machine
    assert yaml.safe_load(card.split("---")[1])["tags"] == ["gan", "[cats]: mine"]
    same = linear.Generator.from_pretrained(tmp_path / "generator", strict=True)
    assert all(torch.equal(tensor, same.state_dict()[name]) for name, tensor in generator.state_dict().items())


def test_network_without_mixin(tmp_path: Path) -> None:
    network = Plain()
    save_weights(network, tmp_path / "generator", METADATA, "generator")
    assert sorted(file.name for file in (tmp_path / "generator").iterdir()) == ["README.md", "model.safetensors"]
    loaded = load_file(tmp_path / "generator" / "model.safetensors")
    assert loaded["encode.weight"].equal(loaded["decode.weight"])
    other = Plain()
    other.load_state_dict(loaded, strict=True)
    for name, tensor in network.state_dict().items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(other.state_dict()[name], tensor)


def test_weights_that_no_file_can_hold_change_nothing(tmp_path: Path) -> None:
    save_weights(Plain(), tmp_path / "generator", METADATA, "generator")
    before = (tmp_path / "generator" / "model.safetensors").read_bytes()
    with pytest.raises(TypeError, match=r"^weight is torch.complex128"):
        save_weights(nn.Linear(2, 2, dtype=torch.complex128), tmp_path / "generator", METADATA, "generator")
    assert (tmp_path / "generator" / "model.safetensors").read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["generator"]


def test_loading_draws_no_random_numbers_of_the_script(tmp_path: Path) -> None:
    metadata = METADATA | {"arguments": '{"latent_dim": 7}'}
    save_weights(linear.Generator(latent_dim=7), tmp_path / "generator", metadata, "generator")
    before = torch.get_rng_state()
    load_generator(tmp_path / "generator")
    assert torch.equal(before, torch.get_rng_state())
