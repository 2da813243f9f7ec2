"""What evaluation while a run trains rests on: drawn classes, clusters, the best generator, alerts."""

from pathlib import Path

import numpy as np
import pytest
import torch

from gan_dist.data.clusters import cluster
from gan_dist.data.order import Stream, spread_classes, uniform
from gan_dist.storage.best import Best
from gan_dist.tracking.alerts import ROWS, Watch


def test_classes_are_spread_by_their_frequencies() -> None:
    frequencies = torch.tensor([0.5, 0.2, 0.3])
    labels = spread_classes(0, range(20_000), frequencies)
    for part in (labels, labels[:1000], labels[7777:8777]):
        shares = part.bincount(minlength=3).double()
        assert (shares - len(part) * frequencies).abs().max() < 4  # drawn at random: some 15 and 70
    assert torch.equal(labels[100:300], spread_classes(0, range(100, 300), frequencies))
    assert not torch.equal(labels, spread_classes(1, range(20_000), frequencies))


def test_uniform_numbers_are_those_of_their_rows() -> None:
    numbers = uniform(1, Stream.STEP, [0, 40], 20, 6)
    assert torch.equal(numbers[1], uniform(1, Stream.STEP, [40], 20, 6)[0])
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert torch.equal(numbers.float().double(), numbers)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 8, 10), (3, 64, 48)])
def test_clusters_are_of_like_images(shape: tuple[int, ...]) -> None:
    kinds = np.random.default_rng(0).integers(0, 256, (3, *shape))
    which = np.arange(300) % 3
    noise = np.random.default_rng(1).integers(-10, 10, (300, *shape))
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
