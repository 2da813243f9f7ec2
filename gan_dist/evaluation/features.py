"""The files in extractors/: a network for features, and what is known of the real images in them."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import torch
from safetensors.torch import load
from torch import Tensor

from gan_dist.evaluation.distances import Moments
from gan_dist.evaluation.floor import FILES, floors_in, read_file
from gan_dist.evaluation.network import Network

CHUNK = 250  # images that go through the network at once
IMAGE_SHAPE = (1, 28, 28)  # of all data sets of the MNIST family


class Split(NamedTuple):
    """Features' moments and shares of classes [10] of all images of a split; the figures of as many real images as
    `floor["num"]` says, which a perfect generator would reach.
    """

    moments: Moments
    shares: Tensor
    floor: dict[str, float]


class Extractor(NamedTuple):
    name: str
    sha256: str  # of its file
    network: Network
    splits: dict[str, Split]


def has_extractor(dataset: str, image_shape: Sequence[int]) -> bool:
    """Whether there is an extractor for images of `dataset` in this shape (channels, height, width)."""
    return dataset in FILES and tuple(image_shape) == IMAGE_SHAPE


def load_extractor(dataset: str) -> Extractor | None:
    """The extractor for images of `dataset`, on the CPU; None if there is none."""
    if dataset not in FILES:
        return None
    name = FILES[dataset]
    content = read_file(name)
    tensors = load(content)
    network = Network().requires_grad_(False).eval()
    network.load_state_dict({key: tensors[f"network.{key}"].float() for key in network.state_dict()})
    network.to(memory_format=torch.channels_last)  # on a CPU three times as fast
    splits = {
        split: Split(
            Moments(tensors[f"{split}.mean"], tensors[f"{split}.covariance"]), tensors[f"{split}.shares"], floor
        )
        for split, floor in floors_in(content).items()
    }
    return Extractor(name, hashlib.sha256(content).hexdigest(), network, splits)


@torch.no_grad()
def extract(network: Network, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels, uint8 [N, 1, 28, 28] -> features, float32 [N, 64], and classes, int64 [N]."""
    # As exact on a GPU as on a CPU: convolutions could be of TF32, or of another algorithm each time.
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        parts = [network(chunk) for chunk in pixels.split(CHUNK)]
    features, logits = (torch.cat(part) for part in zip(*parts, strict=True))
    return features, logits.argmax(1)
