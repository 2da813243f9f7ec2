"""Figures of images against closed forms and their definitions written out; the extractors as they are shipped."""

import hashlib
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from gan_dist.data.mnist import MissingError, load_images, load_labels
from gan_dist.data.order import Stream, normal, permutation
from gan_dist.errors import UserError
from gan_dist.evaluation import distances, features
from gan_dist.evaluation.distances import Moments, frechet_distance, kernel_distance, kernel_sums, moments
from gan_dist.evaluation.drawn import Drawn
from gan_dist.evaluation.evaluator import Evaluator, to_pixels
from gan_dist.evaluation.features import IMAGE_SHAPE as SHAPE
from gan_dist.evaluation.features import extract, load_extractor
from gan_dist.evaluation.figures import duplicates
from gan_dist.evaluation.files import read_pngs
from gan_dist.evaluation.memory import beside_nearest
from gan_dist.evaluation.neighbours import compare, find_neighbours
from gan_dist.evaluation.sliced import sliced_distance
from gan_dist.models import dcgan
from tests.conftest import DATA_DIR

NO_NETWORK = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture(scope="module")
def mnist() -> dict[str, tuple[Tensor, Tensor]]:
    """{split: (images, labels)}"""
    try:
        loaded = {
            s: [load("mnist", str(DATA_DIR), s) for load in (load_images, load_labels)] for s in ("train", "test")
        }
    except UserError:
        pytest.skip("MNIST cannot be had on this machine")
    return {s: (torch.tensor(images[:, None]), torch.tensor(labels).long()) for s, (images, labels) in loaded.items()}


def from_pixels(pixels: Tensor) -> Tensor:
    return pixels.float() / 127.5 - 1


def test_frechet_distance_of_independent_dimensions() -> None:
    """There it is |m - m'|^2 + the squared differences of the standard deviations."""
    means, deviations = draw(2, 9), draw(2, 9, seed=1).abs()
    one, other = (Moments(m, torch.diag(d**2)) for m, d in zip(means, deviations, strict=True))
    expected = (means[0] - means[1]).square().sum() + (deviations[0] - deviations[1]).square().sum()
    assert frechet_distance(one, other) == pytest.approx(expected.item(), rel=1e-12)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("num", [1000, 6])  # with 6 the covariance has no full rank
def test_frechet_distance_as_defined(num: int) -> None:
    sets = draw(num, 8) @ draw(8, 8, seed=2), draw(num, 8, seed=1) + 1
    (m, c), (n, d) = (moments(each) for each in sets)
    root = torch.linalg.eigvals(c @ d).sqrt().sum().real  # the trace of (C C')^(1/2)
    expected = (m - n).square().sum() + c.trace() + d.trace() - 2 * root
    assert frechet_distance(moments(sets[0]), moments(sets[1])) == pytest.approx(expected.item(), rel=1e-6)


def test_kernel_distance_as_defined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distances, "BLOCK", 4)  # several blocks, the last one not full
    x, y = draw(11, 5), draw(7, 5, seed=1) + 0.5

    def mean(a: Tensor, b: Tensor, leave_out_self: bool) -> float:
        pairs = [(i, j) for i, j in itertools.product(range(len(a)), range(len(b))) if not (leave_out_self and i == j)]
        return sum((float(a[i] @ b[j]) / 5 + 1) ** 3 for i, j in pairs) / len(pairs)

    expected = mean(x, x, True) + mean(y, y, True) - 2 * mean(x, y, False)
    assert kernel_distance(kernel_sums(x), kernel_sums(y)) == pytest.approx(expected, rel=1e-10)


def test_divergence() -> None:
    shares = distances.class_shares(torch.tensor([0, 0, 0, 1]))
    real = torch.full((10,), 0.1, dtype=torch.float64)
    assert distances.divergence(shares, real) == pytest.approx(0.75 * math.log(7.5) + 0.25 * math.log(2.5))
    assert distances.divergence(real, real) == 0


def test_neighbours_as_defined() -> None:
    """In more than one block; by distances between all pairs."""
    real, fake = draw(700, 3), draw(600, 3, seed=1) * 0.7 + 0.3
    among = [torch.cdist(each, each).fill_diagonal_(torch.inf).sort(1) for each in (real, fake)]
    found = find_neighbours(fake)
    assert torch.equal(found.nearest, among[1].indices[:, 0])
    between = torch.cdist(fake, real)
    third, fifth = (among[0].values[:, k - 1] for k in (3, 5))
    expected = {
        "precision": (between <= third).any(1).double().mean().item(),
        "recall": (between <= among[1].values[:, 2:3]).any(0).double().mean().item(),
        "density": (between <= fifth).sum(1).double().mean().item() / 5,
        "coverage": (between.min(0).values <= fifth).double().mean().item(),
    }
    assert compare(find_neighbours(real), found) == pytest.approx(expected, rel=1e-12)


def test_neighbours_of_sets_whose_figures_are_known() -> None:
    half, other_half = draw(300, 4), draw(300, 4, seed=1) + 100
    real = find_neighbours(torch.cat([half, other_half]))
    assert compare(real, real) == {"precision": 1, "recall": 1, "density": pytest.approx(1, abs=0.3), "coverage": 1}
    one_mode = compare(real, find_neighbours(half))
    assert (one_mode["precision"], one_mode["recall"], one_mode["coverage"]) == (1, 0.5, 0.5)
    assert set(compare(real, find_neighbours(half + 1000)).values()) == {0}


def test_duplicates() -> None:
    pixels = (draw(20, 3, 12, 8) * 40 + 128).clamp(0, 255).byte()
    pixels[7] = pixels[3]
    pixels[11] = pixels[5]
    pixels[11, :, 0, 0] ^= 1  # three pixels by one level
    nearest = find_neighbours(pixels.double().flatten(1)).nearest
    assert duplicates(pixels, nearest) == 4 / 20


def test_pixels_are_those_of_a_png_file() -> None:
    assert to_pixels(torch.tensor([-1, 0.999, 7, math.nan]).view(1, 1, 2, 2)).flatten().tolist() == [0, 255, 255, 0]
    levels = torch.arange(192, dtype=torch.uint8).view(1, 3, 8, 8)
    assert torch.equal(to_pixels(from_pixels(levels)), levels)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_extractor_is_named_by_its_file(name: str) -> None:
    extractor = load_extractor(name)
    assert extractor is not None
    file = Path(features.__file__).parent / "extractors" / f"{name}.safetensors"
    assert extractor.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    weights = sum(parameter.numel() for parameter in extractor.network.parameters())
    assert 100_000 < weights < 200_000
    assert load_extractor("kmnist") is None


def test_extractor_recognises_digits_and_knows_the_real_ones(mnist: dict[str, tuple[Tensor, Tensor]]) -> None:
    extractor = load_extractor("mnist")
    assert extractor is not None
    for split, (_, labels) in mnist.items():
        assert torch.equal(distances.class_shares(labels), extractor.splits[split].shares)
    images, labels = mnist["test"]
    found, classes = extract(extractor.network, images)
    assert (classes == labels).double().mean() >= 0.994
    assert frechet_distance(moments(found), extractor.splits["test"].moments) < 1e-6


def test_extractor_recognises_clothes() -> None:
    extractor = load_extractor("fashion-mnist")
    assert extractor is not None
    try:
        images, labels = (load("fashion-mnist", str(DATA_DIR), "test") for load in (load_images, load_labels))
    except UserError as error:
        pytest.skip(str(error))
    _, classes = extract(extractor.network, torch.tensor(images[:, None]))
    assert (classes == torch.tensor(labels)).double().mean() >= 0.92


@pytest.mark.parametrize("num_classes", [0, 10])
def test_images_to_evaluate_are_drawn_by_row(num_classes: int) -> None:
    """In one piece or in several, also of fewer images than go through the generator at once."""
    torch.manual_seed(0)
    generator = dcgan.Generator(latent_dim=6, num_classes=num_classes, width=4).train()
    drawn = Drawn(generator, 6, 3, torch.full((num_classes,), 1 / num_classes) if num_classes else None)
    whole = drawn(range(37))
    assert generator.training  # as it was
    assert whole.shape == (37, 1, 28, 28)
    for rows in (range(7), range(7, 30), range(30, 37)):
        torch.testing.assert_close(drawn(rows), whole[rows.start : rows.stop])
    (noise,) = normal(3, Stream.EVALUATION, [0], 37, 6).float()
    labels = drawn.labels(range(37))
    assert (labels is not None) == (num_classes > 0)
    with torch.no_grad():
        torch.testing.assert_close(generator.eval()(noise, *(() if labels is None else (labels,))), whole)


@pytest.mark.slow
@pytest.mark.seconds
def test_floor_is_what_real_images_get(mnist: dict[str, tuple[Tensor, Tensor]]) -> None:
    """And what is wrong with images shows in the figures that are for it."""
    chosen = torch.from_numpy(permutation(0, 0, 60_000)[:10_000])
    pixels, labels = (each[chosen] for each in mnist["train"])
    evaluator = Evaluator("mnist", str(DATA_DIR))
    figures = evaluator(lambda rows: from_pixels(pixels[rows.start : rows.stop]), labels)
    floor = dict(evaluator.description["floor"])
    assert floor.pop("num") == evaluator.num
    assert figures == pytest.approx(floor, rel=1e-3, abs=1e-5)

    def worse(pixels: Tensor) -> dict[str, float]:
        evaluator.num = len(pixels)
        found = evaluator(lambda rows: from_pixels(pixels[rows.start : rows.stop]))
        assert found is not None
        return found

    no_ones = worse(pixels[labels != 1][:2000])
    assert no_ones["digit_kl"] > 50 * floor["digit_kl"]
    assert no_ones["coverage"] < worse(pixels[:2000])["coverage"] - 0.02
    assert worse(pixels[:500].repeat(4, 1, 1, 1))["duplicates"] == 1
    noise = worse((pixels[:2000] + draw(2000, 1, 28, 28) * 40).clamp(0, 255).byte())
    assert noise["frechet_distance"] > 20 * floor["frechet_distance"]
    assert noise["precision"] < 0.6 * floor["precision"]


def test_figures_without_real_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"XDG_CACHE_HOME": str(tmp_path), **NO_NETWORK}.items():
        monkeypatch.setenv(name, value)
    evaluator = Evaluator("mnist-5k", str(tmp_path), num=100)
    figures = evaluator(lambda rows: draw(len(rows), 1, 28, 28))
    assert figures is not None
    assert set(figures) == {"frechet_distance", "digit_kl", "largest_class", "duplicates"}
    with pytest.raises(MissingError, match=r"t10k-images-idx3-ubyte\.gz is not there"):
        Evaluator("kmnist", str(tmp_path))  # it has no extractor
    with pytest.raises(UserError, match="9 images are too few"):
        Evaluator("mnist", str(tmp_path), num=9)


@pytest.mark.slow
@pytest.mark.seconds
def test_sliced_distance(mnist: dict[str, tuple[Tensor, Tensor]]) -> None:
    some, others = mnist["test"][0][:500], mnist["train"][0][:500]
    assert sliced_distance(some, some) == 0
    noisy = (others + draw(500, 1, 28, 28) * 30).clamp(0, 255).byte()
    assert 0 < 1.5 * sliced_distance(some, others) < sliced_distance(some, noisy)


def test_png_files(tmp_path: Path) -> None:
    levels = np.arange(60, dtype=np.uint8)
    for level in levels:
        Image.fromarray(np.full((28, 28), level)).save(tmp_path / f"{level:02}.png")
    assert to_pixels(read_pngs(tmp_path, 100, SHAPE))[:, 0, 3, 4].tolist() == levels.tolist()
    some = to_pixels(read_pngs(tmp_path, 20, SHAPE))[:, 0, 0, 0]
    assert len(some.unique()) == 20
    assert some.max() > 40  # not the first ones
    file = tmp_path / "more" / "last.png"
    file.parent.mkdir()
    Image.fromarray(np.zeros((28, 28, 3), np.uint8)).save(file)
    with pytest.raises(UserError, match=f"^{file}: is 28 x 28 of mode RGB, not 28 x 28 of mode L; "):
        read_pngs(tmp_path, 100, SHAPE)
    Image.fromarray(draw(28, 28).mul(99).byte().numpy()).save(file)
    for content in (b"no picture", file.read_bytes()[:300]):
        file.write_bytes(content)
        with pytest.raises(UserError, match=f"^{file}: cannot be read as PNG .*; delete it$"):
            read_pngs(tmp_path, 100, SHAPE)


def test_png_files_in_colour(tmp_path: Path) -> None:
    pixels = draw(5, 3, 16, 24).mul(40).add(128).clamp(0, 255).byte()
    for i, image in enumerate(pixels):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(tmp_path / f"{i}.png")
    assert torch.equal(to_pixels(read_pngs(tmp_path, 100, (3, 16, 24))), pixels)
    for shape, words in (((3, 24, 16), "16 x 24 of mode RGB"), ((1, 16, 24), "24 x 16 of mode L")):
        with pytest.raises(UserError, match=rf"0\.png: is 24 x 16 of mode RGB, not {words}; a folder must hold one"):
            read_pngs(tmp_path, 100, shape)


def test_neighbours_in_training_images() -> None:
    training = (draw(25_000, 3, 2, 2) * 40 + 128).clamp(0, 255).byte()  # more than are compared at once
    training[24_000] = training[7]
    rows = beside_nearest(from_pixels(training[[7, 12_345]]), training.numpy()).view(2, 4, 3, 2, 2)
    assert torch.equal(rows[0, 1], rows[0, 0])
    assert torch.equal(rows[0, 2], rows[0, 0])
    everything = torch.cdist(from_pixels(training[12_345:12_346]).flatten(1), from_pixels(training).flatten(1))
    near = everything.topk(3, largest=False).values
    assert torch.allclose((rows[1, 1:] - rows[1, 0]).flatten(1).norm(dim=1), near[0], atol=1e-3)
