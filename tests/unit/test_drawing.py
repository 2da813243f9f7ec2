"""Images of a generator by their number, walks between them, and their files."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from gan_dist.data.order import Stream, normal
from gan_dist.drawing.files import save_npz, save_picture, save_pngs
from gan_dist.drawing.images import CHUNK, PART, Drawing
from gan_dist.drawing.walk import FRAMES, frames, on_sphere
from gan_dist.errors import UserError
from gan_dist.models import conv, dcgan, linear
from gan_dist.tracking.pictures import as_grid


class Odd(nn.Module):
    """One that looks across its batch and draws numbers of its own."""

    latent_dim = 4

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 12)

    def forward(self, noise: Tensor) -> Tensor:
        x = self.layer(noise)
        return torch.tanh(x - x.mean(0) + torch.randn_like(x)).view(-1, 3, 2, 2)


def ready(generator: nn.Module, num_classes: int = 0, has_clusters: bool = False) -> nn.Module:
    generator.num_classes, generator.has_clusters = num_classes, has_clusters  # type: ignore[assignment]
    return generator.eval()


def make(kind: str) -> nn.Module:
    torch.manual_seed(0)
    if kind == "dcgan":
        return ready(dcgan.Generator(num_classes=10), 10)
    return ready({"linear": linear.Generator, "conv": conv.Generator, "odd": Odd}[kind]())


@pytest.mark.parametrize("kind", ["linear", "dcgan", "conv", "odd"])
def test_an_image_is_the_same_whatever_else_is_drawn(kind: str) -> None:
    generator = make(kind)
    before = torch.get_rng_state()
    images = Drawing(generator, seed=3)(range(3 * CHUNK + 5))
    assert torch.equal(torch.get_rng_state(), before)
    assert len(np.unique(images, axis=0)) == len(images)
    for rows in (range(1), range(7), range(30, 40), range(CHUNK, 2 * CHUNK), range(100, 101)):
        assert np.array_equal(Drawing(generator, seed=3)(rows), images[rows.start : rows.stop]), rows
    assert not np.array_equal(Drawing(generator, seed=4)(range(7)), images[:7])


def test_parts_are_the_whole() -> None:
    drawing = Drawing(make("linear"))
    parts = list(drawing.parts(PART + 3))
    assert [len(part) for part in parts] == [PART, 3]
    assert np.array_equal(np.concatenate(parts), drawing(range(PART + 3)))


def test_truncation() -> None:
    drawings = [Drawing(make("linear"), truncation=limit) for limit in (None, 0.5, 1e-6, 100)]
    plain, half, tiny, wide = (drawing.noise(range(1000)) for drawing in drawings)
    assert half.abs().max() <= 0.5
    assert tiny.abs().max() <= 1e-6
    assert torch.equal(plain, wide)
    within = plain.abs() <= 0.5
    assert torch.equal(half[within], plain[within])
    expected = plain[within]  # what is drawn anew is distributed as what stays
    for power in (2, 4):
        assert float(half[~within].pow(power).mean()) == pytest.approx(float(expected.pow(power).mean()), rel=0.05)
    assert half[~within].mean().abs() < 0.01
    assert torch.equal(drawings[1].noise(range(500, 510)), half[500:510])


def test_labels() -> None:
    drawing = Drawing(make("dcgan"))
    labels = drawing.labels(range(8, 23))
    assert labels is not None
    assert labels.tolist() == [i % 10 for i in range(8, 23)]
    assert drawing.by_class(23).tolist()[:6] == [0, 10, 20, 1, 11, 21]
    seven = Drawing(drawing.generator, digit=7).labels(range(3))
    assert seven is not None
    assert seven.tolist() == [7, 7, 7]
    assert Drawing(make("linear")).labels(range(3)) is None
    clusters = ready(dcgan.Generator(num_classes=3), 3, has_clusters=True)
    clusters.class_frequencies = torch.tensor([0.7, 0.0, 0.3])
    drawn = Drawing(clusters).labels(range(2000))
    assert drawn is not None
    assert (torch.bincount(drawn) / 2000).tolist() == pytest.approx([0.7, 0, 0.3], abs=0.03)


@pytest.mark.parametrize(("kind", "digit"), [("linear", 0), ("dcgan", 10), ("dcgan", -1)])
def test_no_such_digit(kind: str, digit: int) -> None:
    with pytest.raises(UserError, match=f"--digit {digit}: this generator"):
        Drawing(make(kind), digit=digit)


def test_walk_is_even_and_a_loop() -> None:
    drawing = Drawing(make("dcgan"), seed=1)
    images = np.stack(list(frames(drawing, 11, 3))).astype(float)
    assert images.shape == (3 * FRAMES, 11, 28, 28, 1)
    assert abs(images[0] - drawing(range(11))).max() <= 1  # it begins with the images themselves
    steps = abs(images - np.roll(images, 1, axis=0)).mean(axis=(1, 2, 3, 4))
    far = abs(images[0] - images[FRAMES]).mean()
    assert steps.min() > 0
    assert steps.max() < far / 8  # also from the last to the first


def test_on_sphere() -> None:
    start, end = normal(0, Stream.SAMPLE, [0], 2, 1000)[0]
    middle = on_sphere(start, end, torch.tensor(0.5))
    assert float(middle.norm()) == pytest.approx(
        float(start.norm()), rel=0.05
    )  # on a straight line it would be 0.7 of that
    assert torch.allclose(on_sphere(start, end, torch.tensor(0.0)), start)
    assert torch.allclose(on_sphere(start, end, torch.tensor(1.0)), end)


def pixels(channels: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (5, 4, 6, channels), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_files_hold_the_pixels(channels: int, tmp_path: Path) -> None:
    images, labels = pixels(channels), np.arange(5) * 2
    save_npz([images[:3], images[3:]], 5, labels, tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz") as archive:
        assert np.array_equal(archive["images"].reshape(images.shape), images)
        assert np.array_equal(archive["labels"], labels)
    save_pngs([images[:3], images[3:]], labels, tmp_path / "pngs")
    files = sorted((tmp_path / "pngs").iterdir())
    assert [file.name for file in files] == [f"{i:06}_class{2 * i}.png" for i in range(5)]
    assert all(
        np.array_equal(np.asarray(Image.open(file)).reshape(4, 6, channels), image)
        for file, image in zip(files, images, strict=True)
    )
    for kind in ("GIF", "WEBP"):
        save_picture((as_grid(images[[i]]) for i in range(5)), tmp_path / "moving", kind)
        with Image.open(tmp_path / "moving") as moving:
            assert (moving.format, moving.n_frames, moving.info["loop"], moving.size) == (kind, 5, 0, (8, 6))  # type: ignore[attr-defined]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["moving", "pngs", "x.npz"]


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    def failing() -> Iterator[NDArray[np.uint8]]:
        yield pixels(1)
        raise MemoryError

    (tmp_path / "x.npz").write_bytes(b"old")
    with pytest.raises(MemoryError):
        save_npz(failing(), 9, None, tmp_path / "x.npz")
    with pytest.raises(MemoryError):
        save_pngs(failing(), None, tmp_path / "pngs")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("x.npz", b"old")]


def test_many_files_become_a_folder(tmp_path: Path) -> None:
    save_pngs([pixels(1)] * 30, None, tmp_path / "pngs")
    assert sorted(file.name for file in (tmp_path / "pngs").iterdir()) == [f"{i:06}.png" for i in range(150)]
