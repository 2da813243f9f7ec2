"""The images that a generator is judged by: the same ones for every number of processes."""

import torch
from torch import Tensor, nn

from gan_dist.data.order import Stream, normal, spread_classes
from gan_dist.models._behaviour import looking

SLICE = 10  # images at once on a CPU: what lies between layers stays in its cache, so `conv` takes a third of the time


class Drawn:
    """Images of a generator from the noise of `seed`, by row; with `frequencies` [num_classes] also their labels."""

    def __init__(self, generator: nn.Module, latent_dim: int, seed: int, frequencies: Tensor | None) -> None:
        self.generator, self.latent_dim, self.seed = generator, latent_dim, seed
        self.frequencies = None if frequencies is None else frequencies.cpu()

    def labels(self, rows: range) -> Tensor | None:
        """What is asked for: int64 [len(rows)]; None of a generator without labels."""
        return None if self.frequencies is None else spread_classes(self.seed, rows, self.frequencies)

    def __call__(self, rows: range) -> Tensor:
        """Images [len(rows), C, H, W] in [-1, 1], in eval mode."""
        like = next(self.generator.parameters())
        (noise,) = normal(self.seed, Stream.EVALUATION, [rows.start], len(rows), self.latent_dim)
        labels = self.labels(rows)
        inputs = noise.to(like), *(() if labels is None else (labels.to(like.device),))
        size = SLICE if like.device.type == "cpu" else len(rows)
        with looking(self.generator):
            return torch.cat([self.generator(*part) for part in zip(*(x.split(size) for x in inputs), strict=True)])
