"""Sample images from noise that is fixed for the whole run."""

import torch
from torch import Tensor, nn

from gan_dist.config.options import Config
from gan_dist.data.batches import Batches
from gan_dist.data.order import Stream, classes_in_turn, normal
from gan_dist.drawing.walk import on_sphere
from gan_dist.models._behaviour import looking

INTERPOLATION_STEPS = 8


class Samples:
    """Draws images on one process, without communication. num_classes: 0 for a generator without labels."""

    def __init__(self, generator: nn.Module, config: Config, batches: Batches, num_classes: int = 0) -> None:
        self.generator, self.config, self.batches, self.num_classes = generator, config, batches, num_classes

    def draw(self, noise: Tensor) -> Tensor:
        """noise [N, latent_dim] -> images [N, C, H, W] in [-1, 1], of all classes in turn, as many of each."""
        return self._draw(noise, classes_in_turn(len(noise), self.num_classes))

    def _draw(self, noise: Tensor, labels: tuple[Tensor, ...]) -> Tensor:
        inputs = noise.to(self.batches.dtype), *labels
        with looking(self.generator):  # its eval mode also keeps GlobalBatchNorm from asking the other processes
            return self.generator(*(each.to(self.batches.device) for each in inputs))

    def noise(self, num: int) -> Tensor:
        """The first rows of the stream -> [num, latent_dim]."""
        return normal(self.config.run.seed, Stream.SAMPLE, [0], num, self.config.model.latent_dim)[0]

    def interpolation(self) -> Tensor:
        """Eight interpolations between two images, a row each -> images [64, C, H, W]."""
        start, end = self.noise(16).view(2, 8, 1, -1)
        part = torch.linspace(0, 1, INTERPOLATION_STEPS, dtype=start.dtype).view(1, -1, 1)
        between = on_sphere(start, end, part)
        labels = classes_in_turn(len(between), self.num_classes)  # a row stays in its class
        return self._draw(between.flatten(0, 1), tuple(x.repeat_interleave(INTERPOLATION_STEPS) for x in labels))


def diversity(fake: Tensor, real: Tensor) -> float | None:
    """Mean standard deviation of a pixel over generated images, divided by that over real ones.

    None for a single image.
    """
    if len(fake) == 1:
        return None
    return float(fake.float().std(dim=0).mean().cpu() / real.float().std(dim=0).mean().cpu())
