"""Images of one or three channels and of any size: networks, batches, pictures."""

import io
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gan_dist import models
from gan_dist.data.batches import Batches
from gan_dist.data.order import image_indices, mirrored
from gan_dist.errors import UserError
from gan_dist.models._contract import make
from gan_dist.storage.weights import load_generator, save_weights
from gan_dist.tracking.dashboards import Picture, RunInfo
from gan_dist.tracking.dashboards.tensorboard_run import TensorBoardRun
from gan_dist.tracking.pictures import save_grid, save_growth

SHAPES = [(1, 32, 32), (3, 32, 32), (3, 16, 24), (1, 8, 8)]


def made(name: str, shape: tuple[int, ...], num_classes: int = 0, **arguments: bool) -> dict[str, torch.nn.Module]:
    offered = {"latent_dim": 6, "image_shape": shape, "num_classes": num_classes, **arguments}
    return make(name, models.load(name), offered, torch.float32, 4)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", models.names())
def test_pairs_fit_any_shape(name: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    """By all checks before the first step; and their weights are loaded in that shape."""
    generator = made(name, shape)["Generator"].eval()
    metadata = {"model": name, "dataset": "mine", "recipe": name, "seed": "0", "step": "1"}
    arguments = f'{{"latent_dim": 6, "image_shape": {list(shape)}}}'
    save_weights(generator, tmp_path / "generator", {**metadata, "arguments": arguments}, "generator")
    loaded = load_generator(tmp_path)
    assert loaded.image_shape == shape
    noise = torch.randn(3, 6)
    assert torch.equal(loaded(noise), generator(noise))
    pair: ModuleType = models.load(name)
    assert torch.equal(pair.Generator.from_pretrained(tmp_path / "generator").eval()(noise), generator(noise))


def test_labels_in_another_shape() -> None:
    for arguments in ({}, {"layer_norm": True, "minibatch_std": True}):
        pair = made("dcgan", (3, 16, 24), num_classes=5, **arguments)
        norms = [type(layer).__name__ for layer in pair["Generator"].modules() if "Norm" in type(layer).__name__]
        assert set(norms) == {"LayerNormOfPixels" if arguments else "BatchNorm2d"}


@pytest.mark.parametrize("name", ["conv", "dcgan"])
@pytest.mark.parametrize("size", [(30, 32), (32, 30), (4, 8)])
def test_size_that_a_pair_cannot_halve_twice(name: str, size: tuple[int, int]) -> None:
    words = (
        rf"^--model {name}: Generator cannot be made \(images of {size[0]} x {size[1]} pixels: height and width must "
    )
    with pytest.raises(UserError, match=rf"{words}be multiples of 4, 8 or more; take such an --image-size\)$"):
        made(name, (3, *size))


def colours(num: int = 40) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (num, 3, 4, 6), dtype=np.uint8)


@pytest.mark.parametrize("on_device", [False, True])
def test_batches_are_mirrored(on_device: bool) -> None:
    """The images that `mirrored` says, of every part of a step, and no others."""
    images = colours()
    make_batches = partial(Batches, images, Accelerator(cpu=True), batch_size=8, latent_dim=2, seed=5, accumulate=2)
    plain, flipped = (make_batches(on_device=on_device, mirror=mirror) for mirror in (False, True))
    assert plain.blank().real.shape == (4, 3, 4, 6)
    for step in (1, 2, 70, 200):  # in the first chunk and in later ones
        (which,) = mirrored(5, [(step - 1) * 8], 8)
        real = plain(step).real
        assert torch.equal(flipped(step).real, torch.where(which.view(-1, 1, 1, 1), real.flip(3), real))
        indices = image_indices(5, step, 8, range(8), len(images))
        assert torch.equal(real, torch.from_numpy(images[indices]) / 127.5 - 1)
    assert torch.equal(flipped.first_images(9), plain.first_images(9))


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_have_the_pixels_of_the_images(channels: int, tmp_path: Path) -> None:
    pixels = colours(5)[:, :channels]
    for step, part in ((1, pixels[::-1].copy()), (2, pixels)):
        save_grid(torch.from_numpy(part) / 127.5 - 1, tmp_path / f"fake_{step}.png")
    mode = {1: "L", 3: "RGB"}[channels]
    picture = np.asarray(Image.open(tmp_path / "fake_2.png"))
    assert picture.shape == (12, 24, 3)[: 2 if channels == 1 else 3]
    cells = picture.reshape(2, 6, 3, 8, channels).transpose(0, 2, 4, 1, 3).reshape(6, channels, 6, 8)
    assert np.array_equal(cells[:5, :, 1:-1, 1:-1], pixels)
    assert cells.sum() == pixels.sum()  # the rest is black

    assert save_growth(tmp_path, tmp_path / "samples.gif")
    with Image.open(tmp_path / "samples.gif") as movie:
        movie.seek(1)  # raises if there is no second picture
        shown = np.asarray(movie.convert(mode))
    assert abs(shown.astype(int) - picture).mean() < 1  # a GIF has 256 colours

    board = TensorBoardRun(RunInfo(tmp_path, "id"))
    board.start(0)
    board.log(1, {"samples/fake": Picture(tmp_path / "fake_2.png", "")})
    board.finish(0)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    (image,) = events.Images("samples/fake")
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(image.encoded_image_string)).convert(mode)), picture)
