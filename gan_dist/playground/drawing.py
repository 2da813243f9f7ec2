"""What the page shows, as pictures."""

import torch
from PIL import Image
from torch import Tensor, nn

from gan_dist.tracking.pictures import as_grid, as_picture, to_bytes

SMALL, LARGE = 112, 420  # pixels of an image among others and of one alone, about


@torch.no_grad()
def draw(generator: nn.Module, noise: Tensor, label: int | None = None, columns: int = 1) -> Image.Image:
    """The images of noise [N, latent_dim], so many in a row, enlarged: a pixel becomes a square. One has no frame.

    label: of all images; None for all classes in turn, or for a generator without labels.
    """
    num: int = generator.num_classes  # type: ignore[assignment]
    places = torch.arange(len(noise))
    labels = ((places % num if label is None else torch.full_like(places, label)),) if num else ()
    pixels = to_bytes(generator(noise.float(), *labels))
    picture = as_picture(pixels[0]) if len(pixels) == 1 else as_grid(pixels, columns)
    scale = max(1, round((LARGE if len(pixels) == 1 else SMALL) / pixels.shape[2]))
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)
