"""Trains the networks whose features images are compared in, and writes gan_dist/evaluation/extractors/*.safetensors.

python benchmarks/train_extractor.py --dataset mnist|fashion-mnist [--data-dir DIR]: some minutes on one CPU core.
"""

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from gan_dist.data.mnist import load_images, load_labels
from gan_dist.evaluation.network import DIM, Network

EPOCHS, BATCH, RATE = 20, 128, 4e-3
PICTURE_WEIGHT = 0.5


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
    """A random affine map of each picture [N, 28, 28], small enough to leave it what it is."""
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
    return F.grid_sample(pixels.unsqueeze(1), grid, align_corners=False).squeeze(1)


def train(images: Tensor, labels: Tensor, flip: bool, test: tuple[Tensor, Tensor]) -> Network:
    """A trained network, BatchNorm folded into its convolutions."""
    model = Training().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), RATE, weight_decay=0.05)
    steps = EPOCHS * (len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, steps, pct_start=0.2)
    for epoch in range(EPOCHS):
        model.train()
        total = 0.0
        for rows in torch.randperm(len(images)).split(BATCH)[: steps // EPOCHS]:
            loss = model.loss(distort(images[rows].float(), flip), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        model.eval()
        print(f"epoch {epoch + 1}: loss {total / (steps // EPOCHS):.4f}, accuracy {accuracy(model.network, *test):.2%}", flush=True)
    layers: list[nn.Module] = []
    for layer in model.network.body:
        if isinstance(layer, nn.BatchNorm2d):
            layers[-1] = fuse_conv_bn_eval(layers[-1], layer)
        else:
            layers.append(layer)
    model.network.body = nn.Sequential(*layers)
    return model.network


@torch.no_grad()
def features_of(network: Network, images: Tensor) -> tuple[Tensor, Tensor]:
    parts = [network(part) for part in images.split(250)]
    return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])


def accuracy(network: Network, images: Tensor, labels: Tensor) -> float:
    return (features_of(network, images)[1].argmax(1) == labels).float().mean().item()


@torch.no_grad()
def standardise(network: Network, images: Tensor) -> None:
    """Give each feature mean 0 and variance 1 on `images`; the logits stay the same."""
    features = features_of(network, images)[0].double()
    mean, deviation = features.mean(0), features.std(0)
    embed, classify = network.embed, network.classify
    classify.bias += (classify.weight.double() @ mean).float()
    classify.weight *= deviation.float()
    embed.bias.copy_((embed.bias.double() - mean) / deviation)
    embed.weight /= deviation.float().unsqueeze(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", default="mnist", choices=["mnist", "fashion-mnist"])
    parser.add_argument("--data-dir", default="data")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    sets = {}
    for split in ("train", "test"):
        images, labels = (load(options.dataset, options.data_dir, split) for load in (load_images, load_labels))
        sets[split] = torch.tensor(images), torch.tensor(labels).long()
    network = train(*sets["train"], options.dataset != "mnist", sets["test"])
    standardise(network, sets["train"][0])
    network.load_state_dict({name: tensor.half().float() for name, tensor in network.state_dict().items()})
    print(f"rounded to float16: {accuracy(network, *sets['test']):.2%}")
    f = features_of(network, sets["train"][0])[0].double()
    print("std", f.std(0).min().item(), f.std(0).max().item(), "eig", torch.linalg.eigvalsh(f.T.cov())[[0,1,5,10,20,32,48,60,63]].tolist())
    torch.save(network.state_dict(), f"/tmp/fm/{options.dataset}.pt")


if __name__ == "__main__":
    main()
