"""Images that somebody else's generator has written: a folder of PNG files."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from gan_dist.data.order import permutation
from gan_dist.errors import UserError

SIZE = (28, 28)


def read_pngs(folder: Path, most: int) -> Tensor:
    """The images below `folder`, one a file -> [N, 1, 28, 28] in [-1, 1]; of more than `most`, that many of them.

    Which ones is drawn, always the same, as the first ones could all be of one class. Raises UserError for a file that
    is not one grey image of that size.
    """
    found = sorted(folder.rglob("*.png"))
    chosen = np.sort(permutation(0, 0, len(found))[:most])
    pixels = np.empty((len(chosen), *SIZE), dtype=np.uint8)
    for i, file in enumerate(found[index] for index in chosen):
        try:
            with Image.open(file) as image:
                if image.mode != "L" or image.size != SIZE:
                    words = f"{image.width} x {image.height} of mode {image.mode}"
                    raise UserError(f"{file}: is {words}; a folder must hold grey images (L) of 28 x 28, one in a file")
                pixels[i] = np.asarray(image)
        except (OSError, UnidentifiedImageError, SyntaxError) as error:
            raise UserError(f"{file}: cannot be read as PNG ({' '.join(str(error).split())}); delete it") from None
    return torch.from_numpy(pixels).unsqueeze(1).float().div_(127.5).sub_(1)
