"""The types in which D computes its logits and then R1, with Accelerate's bf16, and whether R1 has a gradient."""

import torch
from accelerate import Accelerator

from gan_dist import models
from gan_dist.adversarial.penalties import Penalties, Penalty

if __name__ == "__main__":
    discriminator = models.load("dcgan").Discriminator(num_classes=10)
    penalties = Penalties(discriminator, Penalty(1.0, 1), Penalty(0.0, 1), 0.0)
    prepared = Accelerator(mixed_precision="bf16", cpu=True).prepare(discriminator)
    seen: list[torch.dtype] = []
    discriminator.logits.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    images, labels = torch.rand(4, 1, 28, 28), torch.arange(4)
    prepared(images, labels)
    (r1,) = penalties(1, images, images, (labels,), None)
    r1.backward()
    print(*seen, bool(discriminator.logits.weight.grad.abs().sum() > 0))
