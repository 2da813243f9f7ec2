"""Figures of generated images against their definitions, written plainly."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from gan_dist.data.clusters import cluster
from gan_dist.data.order import Stream, drawn_classes, uniform
from gan_dist.evaluation.distances import (
    Moments,
    class_shares,
    divergence,
    frechet_distance,
    kernel_distance,
    kernel_sums,
    moments,
)
from gan_dist.evaluation.evaluator import Evaluator
from gan_dist.evaluation.figures import duplicates
from gan_dist.evaluation.neighbours import compare, find_neighbours
from gan_dist.evaluation.sliced import sliced_distance
from gan_dist.storage.best import Best
from gan_dist.tracking.alerts import ROWS, Watch

torch.manual_seed(0)
REAL, FAKE = torch.randn(60, 4), torch.randn(50, 4) * 0.8 + 0.3


def test_frechet_distance() -> None:
    one, other = torch.tensor([1.0, 4.0, 9.0]).double(), torch.tensor([4.0, 1.0, 9.0]).double()
    turn = torch.linalg.qr(torch.randn(3, 3).double()).Q
    a = Moments(torch.zeros(3).double(), turn @ one.diag() @ turn.T)
    b = Moments(torch.tensor([3.0, 0.0, 4.0]).double(), turn @ other.diag() @ turn.T)
    # Of covariances that commute: the distance of means and of deviations.
    assert frechet_distance(a, b) == pytest.approx(25 + (1 - 2) ** 2 + (2 - 1) ** 2, abs=1e-9)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    first, second = moments(REAL), moments(FAKE)
    values = torch.linalg.eigvals(first.covariance @ second.covariance).real.sqrt().sum()
    traces = first.covariance.trace() + second.covariance.trace()
    expected = (first.mean - second.mean).square().sum() + traces - 2 * values
    assert frechet_distance(first, second) == pytest.approx(float(expected), abs=1e-9)


def test_kernel_distance_is_of_all_pairs() -> None:
    def kernel(x: Tensor, y: Tensor) -> float:
        return float((x.double() @ y.double() / 4 + 1) ** 3)

    within = []
    for each in (REAL, FAKE):
        pairs = [kernel(x, y) for i, x in enumerate(each) for j, y in enumerate(each) if i != j]
        within.append(sum(pairs) / len(pairs))
    between = sum(kernel(x, y) for x in REAL for y in FAKE) / (len(REAL) * len(FAKE))
    assert kernel_distance(kernel_sums(REAL), kernel_sums(FAKE)) == pytest.approx(sum(within) - 2 * between, abs=1e-9)


def test_neighbours_one_by_one() -> None:
    def radius(x: Tensor, k: int, among: Tensor) -> float:
        return sorted(float((x - y).norm()) for y in among)[k]  # place 0 is x itself

    def near(x: Tensor, others: Tensor, k: int) -> list[bool]:
        return [float((x - y).norm()) <= radius(y, k, others) for y in others]

    expected = {
        "precision": np.mean([any(near(x, REAL, 3)) for x in FAKE]),
        "recall": np.mean([any(near(x, FAKE, 3)) for x in REAL]),
        "density": np.mean([sum(near(x, REAL, 5)) / 5 for x in FAKE]),
        "coverage": np.mean([min(float((x - y).norm()) for y in FAKE) <= radius(x, 5, REAL) for x in REAL]),
    }
    assert compare(find_neighbours(REAL), find_neighbours(FAKE)) == pytest.approx(expected)
    assert 0 < expected["precision"] < 1


def test_classes_and_duplicates() -> None:
    shares = class_shares(torch.tensor([0, 0, 1, 2]))
    real = torch.tensor([0.5, 0.25, 0.25] + [0.0] * 7).double()
    assert divergence(shares, real) == pytest.approx(0)
    assert divergence(class_shares(torch.zeros(4).long()), real) == pytest.approx(np.log(2))
    pixels = torch.randint(0, 256, (10, 28, 28), dtype=torch.uint8)
    pixels[3] = pixels[7]
    assert duplicates(pixels, find_neighbours(pixels.flatten(1)).nearest) == pytest.approx(0.2)


def test_sliced_distance_grows() -> None:
    one = torch.randint(0, 256, (40, 28, 28), dtype=torch.uint8)
    assert sliced_distance(one, one) == 0
    blurred = (one.float() + one.float().roll(1, dims=1)) / 2
    little = sliced_distance(one, torch.lerp(one.float(), blurred, 0.2).byte())
    assert 0 < 2 * little < sliced_distance(one, blurred.byte())


def test_figures_without_real_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The distance and what else needs only their statistics, as with mnist-5k on a machine without MNIST."""
    monkeypatch.setattr("gan_dist.data.mnist._cache_folders", lambda: [])
    monkeypatch.setattr("torchvision.datasets.MNIST.mirrors", [])
    report = Evaluator("mnist-5k", str(tmp_path), num=50)(lambda rows: torch.zeros(len(rows), 1, 28, 28))
    assert report is not None
    assert report.keys() == {"frechet_distance", "digit_kl", "largest_class", "duplicates"}
    assert report["duplicates"] == 1


def test_classes_are_drawn_by_their_frequencies() -> None:
    frequencies = torch.tensor([0.5, 0.2, 0.3])
    labels = drawn_classes(0, range(20_000), frequencies)
    assert (labels.bincount(minlength=3) / 20_000).tolist() == pytest.approx(frequencies.tolist(), abs=0.02)
    assert torch.equal(labels[100:300], drawn_classes(0, range(100, 300), frequencies))
    numbers = uniform(1, Stream.STEP, [0, 40], 20, 6)
    assert torch.equal(numbers[1], uniform(1, Stream.STEP, [40], 20, 6)[0])
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert torch.equal(numbers.float().double(), numbers)


def test_clusters_are_of_like_images() -> None:
    kinds = np.random.default_rng(0).integers(0, 256, (3, 28, 28))
    which = np.arange(300) % 3
    noise = np.random.default_rng(1).integers(-10, 10, (300, 28, 28))
    images = (kinds[which] + noise).clip(0, 255).astype(np.uint8)
    found = cluster(images, 3, seed=1)
    assert len({(a, b) for a, b in zip(which.tolist(), found.tolist(), strict=True)}) == 3
    assert np.array_equal(found, cluster(images, 3, seed=1))


def test_best_stays_as_long_as_a_checkpoint_needs_it(tmp_path: Path) -> None:
    def offer(best: Best, step: int, figure: float) -> None:
        best.offer(step, figure, lambda folder: folder.mkdir())

    best = Best(tmp_path, {}, 0)
    assert best.step is None
    for step, figure in ((10, 3.0), (20, 4.0), (30, 2.0), (40, 1.0)):
        if step == 20:
            (tmp_path / "checkpoints" / "step_00000015").mkdir(parents=True)
        offer(best, step, figure)
    assert best.step == 40
    assert sorted(folder.name for folder in best.folder.iterdir()) == [
        "step_00000010",
        "step_00000030",
        "step_00000040",
    ]
    resumed = Best(tmp_path, {10: 3.0}, 15)
    assert resumed.step == 10
    (tmp_path / "checkpoints" / "step_00000015").rename(tmp_path / "checkpoints" / "step_00000025")
    offer(resumed, 20, 2.5)
    assert [folder.name for folder in best.folder.iterdir()] == ["step_00000020"]


def test_alerts_of_evaluations() -> None:
    watch = Watch()

    def titles(figure: float, largest: float) -> list[str]:
        return [alert.title for alert in watch.evaluation(1, {"eval_largest_class": largest}, figure, 1.0)]

    assert titles(1.5, 0.2) == []
    assert titles(2.5, 0.95) == ["One class", "Worse"]
    assert titles(2.5, 0.95) == []  # once
    assert titles(1.5, 0.2) == []
    assert titles(2.5, 0.2) == ["Worse"]
    numbers = {"accuracy_real": 0.5, "accuracy_fake": 0.5, "logit_real": 0.1, "logit_fake": 0.1}
    alerts = [watch.row(step, numbers) for step in range(2 * ROWS)]
    assert [alert.title for alert in alerts if alert] == ["D does not learn"]
