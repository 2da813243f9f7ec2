"""Trains the networks whose features images are compared in, and writes gan_dist/evaluation/extractors/*.safetensors.

python benchmarks/train_extractor.py --dataset mnist|fashion-mnist [--data-dir DIR]: some minutes on one CPU core.
"""

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from gan_dist.data.mnist import load_images, load_labels
from gan_dist.data.order import permutation
from gan_dist.evaluation.distances import Moments, class_shares, moments
from gan_dist.evaluation.evaluator import MOST_REAL
from gan_dist.evaluation.features import extract
from gan_dist.evaluation.figures import Reference, measure, pairs_of
from gan_dist.evaluation.network import DIM, Network

BATCH, RATE = 128, 4e-3
PICTURE_WEIGHT = 0.5


class Real(NamedTuple):
    images: Tensor  # uint8 [N, 1, 28, 28]
    labels: Tensor  # int64 [N]
    moments: Moments  # of their features


class Training(nn.Module):
    """The network with BatchNorm, and a linear map from features to the picture at half resolution.

    A classifier alone would forget how a digit is drawn: features that the picture can be had from do not, so that
    distances see whether all ways of drawing it are there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.network = Network()
        layers: list[nn.Module] = []
        for layer in self.network.body:
            layers += [layer, nn.BatchNorm2d(layer.out_channels)] if isinstance(layer, nn.Conv2d) else [layer]
        self.network.body = nn.Sequential(*layers)
        self.picture = nn.Linear(DIM, 14 * 14)

    def loss(self, pixels: Tensor, labels: Tensor) -> Tensor:
        features, logits = self.network(pixels)
        picture = F.avg_pool2d(pixels / 255, 2).flatten(1)
        # The mean square error as a share of the variance.
        left_over = (self.picture(features) - picture).square().sum() / (picture - picture.mean(0)).square().sum()
        return F.cross_entropy(logits, labels) + PICTURE_WEIGHT * left_over


def distort(pixels: Tensor, flip: bool) -> Tensor:
    """A random affine map of each picture [N, 1, 28, 28], small enough to leave it what it is."""
    num = len(pixels)
    draw = torch.rand(6, num) * 2 - 1
    if flip:
        shift, size, angle, slant = 1 / 14, 0.05, 0.03, 0.0
    else:
        shift, size, angle, slant = 2 / 14, 0.1, 0.2, 0.2
    angles, scales = draw[0] * angle, 1 + draw[1:3] * size
    cos, sin = angles.cos(), angles.sin()
    turn = torch.stack([torch.stack([cos, -sin + draw[3] * slant], -1), torch.stack([sin, cos], -1)], 1)
    maps = torch.cat([turn * scales.T.unsqueeze(1), draw[4:6].T.unsqueeze(-1) * shift], -1)
    if flip:
        maps[:, :, 0] *= torch.where(torch.rand(num) < 0.5, -1.0, 1.0).unsqueeze(1)
    grid = F.affine_grid(maps, [num, 1, 28, 28], align_corners=False)
    return F.grid_sample(pixels, grid, align_corners=False)


def train(images: Tensor, labels: Tensor, flip: bool, epochs: int, test: tuple[Tensor, Tensor]) -> Network:
    """A trained network, BatchNorm folded into its convolutions."""
    model = Training().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), RATE, weight_decay=0.05)
    steps = epochs * (len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, steps, pct_start=0.2)
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for rows in torch.randperm(len(images)).split(BATCH)[: steps // epochs]:
            loss = model.loss(distort(images[rows].float(), flip), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        model.eval()
        words = f"loss {total / (steps // epochs):.4f}, {accuracy(model.network, *test):.2%} of test images"
        print(f"epoch {epoch + 1}: {words}", flush=True)
    layers: list[nn.Module] = []
    for layer in model.network.body:
        if isinstance(layer, nn.BatchNorm2d):
            layers[-1] = fuse_conv_bn_eval(layers[-1], layer)  # type: ignore[type-var]
        else:
            layers.append(layer)
    model.network.body = nn.Sequential(*layers)
    # As `load_extractor` has it, so that the floor is what an Evaluator finds; and no other can be saved.
    return model.network.to(memory_format=torch.contiguous_format)


def accuracy(network: Network, images: Tensor, labels: Tensor) -> float:
    return (extract(network, images)[1] == labels).float().mean().item()


@torch.no_grad()
def standardise(network: Network, images: Tensor) -> None:
    """Give each feature mean 0 and variance 1 on `images`; the logits stay the same."""
    features = extract(network, images)[0].double()
    mean, deviation = features.mean(0), features.std(0)
    embed, classify = network.embed, network.classify
    classify.bias.add_((classify.weight.double() @ mean).float())
    classify.weight *= deviation.float()
    embed.bias.copy_((embed.bias.double() - mean) / deviation)
    embed.weight /= deviation.float().unsqueeze(1)


def floor_of(network: Network, real: Real, others: Real) -> dict[str, float]:
    """The figures of 10,000 of the `others` against the `real` images."""
    chosen = [torch.from_numpy(permutation(0, 0, len(each.images))[:MOST_REAL]) for each in (real, others)]
    pairs = pairs_of(extract(network, real.images[chosen[0]])[0])
    pixels, labels = others.images[chosen[1]], others.labels[chosen[1]]
    features, classes = extract(network, pixels)
    reference = Reference(real.moments, class_shares(real.labels), pairs)
    return {"num": len(pixels), **measure(reference, pixels, features, classes, labels)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", default="mnist", choices=["mnist", "fashion-mnist"])
    parser.add_argument("--data-dir", default="data")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path("gan_dist/evaluation/extractors"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    sets = {}
    for split in ("train", "test"):
        images, labels = (load(options.dataset, options.data_dir, split) for load in (load_images, load_labels))
        sets[split] = torch.tensor(images).unsqueeze(1), torch.tensor(labels).long()
    network = train(*sets["train"], options.dataset != "mnist", options.epochs, sets["test"])
    standardise(network, sets["train"][0])
    half = {f"network.{name}": tensor.half().contiguous() for name, tensor in network.state_dict().items()}
    network.load_state_dict({name.removeprefix("network."): tensor.float() for name, tensor in half.items()})
    accuracies = {split: accuracy(network, *each) for split, each in sets.items()}
    real = {
        split: Real(images, labels, moments(extract(network, images)[0])) for split, (images, labels) in sets.items()
    }
    known = {}
    for split, each in real.items():
        known[f"{split}.mean"], known[f"{split}.covariance"] = each.moments
        known[f"{split}.shares"] = class_shares(each.labels)
    floors = {"test": floor_of(network, real["test"], real["train"]), "train": floor_of(network, *real.values())}
    options.out.mkdir(exist_ok=True)
    save_file(half | known, options.out / f"{options.dataset}.safetensors", {"floor": json.dumps(floors)})
    for split, share in accuracies.items():
        print(f"{options.dataset}: right on {share:.2%} of the {split} images")
    for split, floor in floors.items():
        print(f"{split}: " + ", ".join(f"{name} {figure:.4g}" for name, figure in floor.items()))


if __name__ == "__main__":
    main()
