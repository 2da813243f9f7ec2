"""The standard deviation that D sees, in one process; several are in tests/processes."""

import torch

from gan_dist import ClassStd, MinibatchStd
from gan_dist.models.dcgan import Discriminator

X = torch.randn(9, 4, 5, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_over_the_batch() -> None:
    out = MinibatchStd()(X)
    assert out.shape == (9, 5, 5, 6)
    assert torch.equal(out[:, :4], X)
    expected = X.std(0, correction=0).mean().expand(9, 5, 6)
    torch.testing.assert_close(out[:, 4], expected, rtol=1e-6, atol=0)


def test_within_each_class() -> None:
    labels = torch.tensor([0, 1, 0, 1, 0, 0, 1, 3, 0])
    x = X.flatten(1)
    out = ClassStd(5)(x, labels)
    for label in (0, 1):
        expected = x[labels == label].std(0).expand(int((labels == label).sum()), -1)
        torch.testing.assert_close(out[labels == label], expected, rtol=0, atol=1e-4)  # 1e-4 is that of a single row
    assert float(out[labels == 3].max()) < 1e-3  # one row does not differ from itself


def test_discriminator_without_labels_sees_the_batch() -> None:
    torch.manual_seed(0)
    network = Discriminator((1, 8, 8), width=4, minibatch_std=True)
    images = torch.randn(6, 1, 8, 8)
    logits = network(images)
    assert logits.shape == (6,)
    same = network(images[:1].expand(6, -1, -1, -1))
    assert float((same[0] - logits[0]).detach().abs()) > 1e-3
