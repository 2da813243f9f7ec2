"""The standard deviation that D sees, in one process; several are in tests/processes."""

import torch

from gan_dist import MinibatchStd

X = torch.randn(9, 4, 5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_over_the_batch() -> None:
    out = MinibatchStd()(X)
    assert out.shape == (9, 5, 5, 6)
    assert torch.equal(out[:, :4], X)
    expected = X.std(0, correction=0).mean().expand(9, 5, 6)
    torch.testing.assert_close(out[:, 4], expected, rtol=1e-6, atol=0)


def test_within_each_class() -> None:
    labels = torch.tensor([0, 1, 0, 1, 0, 0, 1, 3, 0])
    for x in (X, X.to(memory_format=torch.channels_last)):
        out = MinibatchStd(num_classes=5)(x, labels)
        assert torch.equal(out[:, :4], X)
        for label in (0, 1):
            expected = X[labels == label].std(0).mean().expand(int((labels == label).sum()), 5, 6)
            torch.testing.assert_close(out[labels == label, 4], expected, rtol=1e-6, atol=0)
        assert float(out[labels == 3, 4].max()) < 1e-3  # one image does not differ from itself
