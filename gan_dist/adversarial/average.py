"""A running average of G's weights, from which pictures and final weights are made."""

import copy

import torch
from torch import Tensor, nn


class Average:
    """An exponential moving average of a network's parameters and buffers, as a network in eval mode.

    half_life: images after which a weight's part in the average is halved; it is at most a tenth of the images seen,
    so that the first weights do not stay in it. Yaz et al., "The unusual effectiveness of averaging in GAN training",
    ICLR 2019; the ramp is that of Karras et al., "Analyzing and improving the image quality of StyleGAN", CVPR 2020.
    """

    def __init__(self, network: nn.Module, half_life: float) -> None:
        # Made before Accelerate prepares the network: it computes in the type of its weights, without asking others.
        for module in network.modules():
            for name, value in vars(module).items():
                if isinstance(value, Tensor) and value.grad_fn is not None:
                    # A weight that spectral_norm or weight_norm made in a forward, and will make again: it is part of a
                    # graph, which cannot be copied.
                    setattr(module, name, value.detach())
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.half_life = half_life

    @torch.no_grad()
    def update(self, network: nn.Module, images: int, images_seen: int) -> None:
        """Take in the weights after a step of `images` images; images_seen: since the first step."""
        part = 1 - 0.5 ** (images / min(self.half_life, images_seen / 10))
        averaged, now = (
            [*each.parameters(), *(buffer for buffer in each.buffers() if buffer.is_floating_point())]
            for each in (self.network, network)
        )
        torch._foreach_lerp_(averaged, now, part)
        for kept, buffer in zip(self.network.buffers(), network.buffers(), strict=True):
            if not buffer.is_floating_point():
                kept.copy_(buffer)
