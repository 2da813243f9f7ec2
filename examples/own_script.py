"""A GAN script of one's own on Accelerate. From gan_dist it has the step, the batches, BatchNorm and the checkpoints.

accelerate launch examples/own_script.py [--steps 2000] [--folder own_run]    the same line again goes on after a kill
"""

import argparse
import os
import sys

import torch
from accelerate import Accelerator
from torch import nn

import gan_dist

LATENT_DIM, SEED = 64, 0


def make_networks() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(SEED)
    hidden = nn.Linear(LATENT_DIM, 256, bias=False), nn.BatchNorm1d(256), nn.ReLU()
    generator = nn.Sequential(*hidden, nn.Linear(256, 784), nn.Tanh(), nn.Unflatten(1, (1, 28, 28)))
    discriminator = nn.Sequential(nn.Flatten(), nn.Linear(784, 256), nn.LeakyReLU(0.2), nn.Linear(256, 1))
    return generator, discriminator


def main(options: argparse.Namespace) -> None:
    accelerator, dtype = Accelerator(cpu=not torch.cuda.is_available()), getattr(torch, options.dtype)
    generator, discriminator = make_networks()
    for network in (generator, discriminator):
        gan_dist.make_global(network.to(accelerator.device, dtype))  # BatchNorm over the batch of all processes
    prepared = accelerator.prepare(generator, discriminator)
    optimizers = [gan_dist.ScaledOptimizer(each, gan_dist.make_adam(each, 2e-4)) for each in (generator, discriminator)]
    step = gan_dist.AdversarialStep(*prepared, *optimizers)

    with accelerator.local_main_process_first():  # which downloads them
        images = gan_dist.load_images(options.dataset, options.data_dir)[:, None]  # or any uint8 [N, C, H, W]
    # The batch is that of all processes together; each takes its rows.
    batches = gan_dist.Batches(images, accelerator, batch_size=64, latent_dim=LATENT_DIM, seed=SEED, dtype=dtype)
    saver = gan_dist.Saver(options.folder, every=100)
    first = gan_dist.resume(accelerator, options.folder, step.tensors())["step"] + 1
    for number in range(first, options.steps + 1):
        result = step(batches(number), number)
        if number % 100 == 0:
            losses = accelerator.reduce(torch.stack([result.loss_d, result.loss_g]), "mean").tolist()
            accelerator.print(f"step {number}: loss of D {losses[0]:.3f}, of G {losses[1]:.3f}", flush=True)
        if accelerator.is_main_process and (saver.is_due(number) or number == options.steps):
            saver.save(step.tensors(), {"step": number})  # on a thread
    saver.wait()
    accelerator.end_training()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--folder", default="own_run")
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--data-dir", default="data")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    main(parser.parse_args())
    sys.stdout.flush()
    os._exit(0)  # Python's own way out aborts if a thread of gloo still holds a tensor then (pytorch#179291)
