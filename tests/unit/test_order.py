"""Order and noise: pure functions, the same for every number of processes and every version."""

import hashlib
import tracemalloc

import numpy as np
import pytest
import torch

from gan_dist.data import order
from gan_dist.data.order import Stream, first_of_permutation, image_indices, images_at, mirrored, normal, permutation


def test_an_epoch_has_every_image_once() -> None:
    num_images, batch_size = 1000, 64
    steps = num_images // batch_size
    seen = np.concatenate([image_indices(7, steps + i + 1, batch_size, range(64), num_images) for i in range(steps)])
    assert len(np.unique(seen)) == steps * batch_size
    assert sorted(permutation(7, 1, num_images)) == list(range(num_images))


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    orders = [permutation(seed, epoch, 1000) for seed in (0, 1) for epoch in (0, 1)]
    matches = [(a == b).mean() for i, a in enumerate(orders) for b in orders[:i]]
    assert max(matches) < 0.01


def test_order_that_is_not_held_is_an_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every image once, wherever one looks; no relation to places, to the next epoch or to another seed."""
    monkeypatch.setattr(order, "LONGEST_TABLE", 100)
    for num in (101, 4096, 4097, 70_000):
        orders = [images_at(seed, epoch, range(num), num) for seed in (0, 1) for epoch in (0, 1)]
        for one in orders:
            assert np.array_equal(np.sort(one), np.arange(num))
        assert np.array_equal(images_at(0, 1, range(60, 90), num), orders[1][60:90])
    for i, one in enumerate([np.arange(num), *orders]):
        for other in orders[i:]:
            assert (one == other).sum() < 10
            assert abs(np.corrcoef(one, other)[0, 1]) < 0.02
        assert abs(np.corrcoef(orders[0][:-1], orders[0][1:])[0, 1]) < 0.02


def test_a_batch_of_very_many_images_costs_nothing() -> None:
    tracemalloc.start()
    image_indices(0, 1_000_000, 64, range(64), 100_000_000)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1e6


def test_first_of_a_permutation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "BLOCK", 64)  # several blocks, the last one not full
    for num in (1, 7, 150, 1000, 2000):
        assert np.array_equal(first_of_permutation(7, 3, 1000, num), permutation(7, 3, 1000)[:num])


def test_half_of_all_images_are_mirrored() -> None:
    """Any row alone, or with others, in one process or in several."""
    (whole,) = mirrored(3, [0], 20_000)
    assert abs(whole.double().mean() - 0.5) < 0.02
    assert torch.equal(mirrored(3, [100, 7000], 8), torch.stack([whole[100:108], whole[7000:7008]]))
    assert not torch.equal(whole, mirrored(4, [0], 20_000)[0])


def test_processes_share_a_batch_without_overlap() -> None:
    whole = image_indices(0, 21, 64, range(64), 1000)
    parts = [image_indices(0, 21, 64, range(16 * rank, 16 * rank + 16), 1000) for rank in range(4)]
    assert np.array_equal(np.concatenate(parts), whole)


def test_any_row_of_noise_can_be_drawn_again_on_its_own() -> None:
    for dim in (1, 8, 100, 129):
        (whole,) = normal(3, Stream.NOISE, [0], 500, dim)
        assert whole.shape == (500, dim)
        for num in (1, 7, 33, 64):
            starts = [0, 1, 63, 100, 500 - num]
            for start, rows in zip(starts, normal(3, Stream.NOISE, starts, num, dim), strict=True):
                assert torch.equal(rows, whole[start : start + num])


def test_noise_is_standard_normal_and_streams_differ() -> None:
    (x,) = normal(0, Stream.NOISE, [0], 20_000, 100)
    assert abs(x.mean()) < 0.003
    assert abs(x.std() - 1) < 0.003
    assert abs((x**4).mean() - 3) < 0.03
    assert abs(torch.corrcoef(x[:, :10].T).fill_diagonal_(0)).max() < 0.03
    (other,) = normal(0, Stream.SAMPLE, [0], 20_000, 100)
    assert abs((x * other).mean()) < 0.003


def test_order_and_noise_never_change() -> None:
    """A change here changes every result that a user has ever had."""
    indices = permutation(42, 3, 60_000).astype("<i8")
    assert hashlib.sha256(indices.tobytes()).hexdigest().startswith("a4ad79c7b2775c02")
    expected = torch.tensor([0.4544233366102155, -0.3077541213294336, -0.031034509541631485], dtype=torch.float64)
    torch.testing.assert_close(normal(42, Stream.NOISE, [1000], 1, 100)[0, 0, :3], expected, rtol=1e-12, atol=0)
    assert mirrored(42, [1000], 12).int().tolist() == [[1, 0, 0, 1, 1, 0, 0, 0, 1, 0, 1, 1]]
