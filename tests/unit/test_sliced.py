"""Figures of images without an extractor, of any size, grey and in colour."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gan_dist.data.order import Stream, normal
from gan_dist.errors import UserError
from gan_dist.evaluation import sliced
from gan_dist.evaluation.evaluator import Evaluator
from gan_dist.evaluation.sliced import sliced_distance


def in_colour(num: int, size: tuple[int, int], seed: int) -> Tensor:
    """Smooth pictures, of which the first and the last channel are alike: uint8 [num, 3, *size]."""
    coarse = torch.randn(num, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    coarse[:, 2] = coarse[:, 0]
    return F.interpolate(coarse, size, mode="bilinear").mul(40).add(128).clamp(0, 255).byte()


def test_grey_images_have_the_figure_that_they_always_had() -> None:
    """Of 28 x 28, in two levels: a change here changes every figure of KMNIST that a user has ever had."""
    some, others = (
        torch.arange(num * 784).mul(factor).remainder(251).byte().view(-1, 1, 28, 28)
        for num, factor in ((60, 7919), (50, 104729))
    )
    assert sliced_distance(some, others) == pytest.approx(342.8189754486084, rel=1e-6)


@pytest.mark.seconds
@pytest.mark.parametrize("size", [(8, 8), (16, 24), (15, 40), (48, 64)])
def test_what_is_wrong_shows(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise, and in colour also channels that are right each on its own and do not go together."""
    monkeypatch.setattr(sliced, "NUM_PATCHES", 4096)
    monkeypatch.setattr(sliced, "CHUNK", 70)  # several chunks, the last one not full
    some, others = in_colour(300, size, 0), in_colour(300, size, 1)
    assert sliced_distance(some, some) == 0
    same_kind = sliced_distance(some, others)
    assert sliced_distance(some, others[:, [0, 1, 1]]) > 1.5 * same_kind
    noise = torch.randn(others.shape, generator=torch.Generator().manual_seed(2)) * 60
    assert sliced_distance(some, (others + noise).clamp(0, 255).byte()) > 1.4 * same_kind
    assert 1000 > sliced_distance(some, torch.zeros_like(others)) > 1.5 * same_kind
    darker = others.clone()
    darker[:, 1] //= 2  # each channel is scaled
    assert sliced_distance(some, darker) == pytest.approx(same_kind, rel=0.2)


def test_distance_as_defined() -> None:
    """Of all patches of one level, written out."""
    some, others = in_colour(9, (8, 12), 0), in_colour(9, (8, 12), 1)

    def patches(pixels: Tensor) -> Tensor:
        found = torch.cat([pixels[:, :, i : i + 7, j : j + 7] for i in range(2) for j in range(6)]).double() / 127.5 - 1
        means, deviations = (f(found, (0, 2, 3), keepdim=True) for f in (torch.mean, torch.std))
        return ((found - means) / deviations).flatten(1)

    directions = normal(0, Stream.EVALUATION, [0], 64, 3 * 49)[0]
    directions /= directions.norm(dim=1, keepdim=True)
    one, other = ((patches(pixels) @ directions.T).sort(0).values for pixels in (some, others))
    expected = 1000 * (one - other).abs().mean().item()
    assert sliced_distance(some, others) == pytest.approx(expected, rel=1e-4)


def test_levels_add_up_to_the_image() -> None:
    pixels = in_colour(2, (30, 42), 0)
    *details, image = sliced._pyramid(pixels, 3)
    assert [level.shape[2:] for level in (*details, image)] == [(30, 42), (15, 21), (7, 10)]
    for level in reversed(details):
        image = level + sliced._blur(F.interpolate(image, level.shape[2:]))
    torch.testing.assert_close(image, pixels / 127.5 - 1)


def test_evaluator(monkeypatch: pytest.MonkeyPatch) -> None:
    """The floor is one half of the real images against the other."""
    monkeypatch.setattr(sliced, "NUM_PATCHES", 4096)
    real, generated = in_colour(200, (16, 24), 0), in_colour(100, (16, 24), 1)
    generated[50:] = generated[:50]

    def generate(rows: range) -> Tensor:
        return generated[rows.start : rows.stop] / 127.5 - 1

    evaluator = Evaluator("mnist", "", real=real.numpy(), num=100, split="train")
    assert evaluator.description["floor"] == {}  # before the first images
    figures = evaluator(generate)
    assert figures is not None
    floor = evaluator.description["floor"]
    assert figures.keys() | {"num"} == floor.keys() == {"num", "sliced_distance", "duplicates"}
    assert (figures["duplicates"], floor["duplicates"], floor["num"]) == (1, 0, 100)
    assert 0 < floor["sliced_distance"] < 2 * figures["sliced_distance"]
    assert (evaluator.description["split"], evaluator.description["sha256"]) == ("train", None)

    few = Evaluator("mnist", "", real=real[:19].numpy(), num=100)
    assert few(generate) is not None
    assert few.description["floor"] == {}  # one half would be too few
    with pytest.raises(UserError, match=r"^images of 16 x 4 pixels are too small .*; train with --eval-every 0$"):
        Evaluator("mnist", "", real=real[..., :4].numpy())
