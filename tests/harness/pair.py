"""A pair of networks as somebody writes it into a file."""

from pathlib import Path

PAIR = """
import torch
from torch import nn

class Generator(nn.Module):
    def __init__(self, latent_dim):
        super().__init__()
        self.layer = nn.Linear(latent_dim, 784)
    def forward(self, noise):
        return self.layer(noise).tanh().view(-1, 1, 28, 28)

class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(784, 1)
    def forward(self, images):
        return self.layer(images.flatten(1))
"""
D_END = "return self.layer(images.flatten(1))"

D_LAYER = "nn.Linear(784, 1)"
D_MADE = "def __init__(self):"


def write(folder: Path, text: str = PAIR) -> Path:
    file = folder / "mine.py"
    file.write_text(text)
    return file
