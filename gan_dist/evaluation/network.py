"""The small network whose features images are compared in."""

from torch import Tensor, nn

DIM = 64


class Network(nn.Module):
    """Pixels, uint8 [N, 1, 28, 28] -> features [N, 64] and logits of ten classes [N, 10].

    The logits are a linear function of the features, so no ReLU makes these sparse. 0.1 million weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 24, 5, stride=2, padding=2),  # 14 x 14
            nn.ReLU(),
            nn.Conv2d(24, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),  # 7 x 7
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 64, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),  # 3 x 3
            nn.Flatten(),
        )
        self.embed = nn.Linear(9 * 64, DIM)
        self.classify = nn.Linear(DIM, 10)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        features = self.embed(self.body(pixels.to(self.embed.weight.dtype).div(255)))
        return features, self.classify(features)
