"""A whole run: build, loop, close."""

import sys
import time
from pathlib import Path

import torch
from accelerate.utils import broadcast
from torch import nn

from gan_dist import models
from gan_dist.batches import Batches, to_unit_range
from gan_dist.config import Config
from gan_dist.data import load_images
from gan_dist.metrics import Diverged, Meter, check_finite
from gan_dist.norm import make_global
from gan_dist.order import Stream, normal
from gan_dist.processes import make_accelerator, run_first
from gan_dist.step import AdversarialStep
from gan_dist.stop import StopRequest
from gan_dist.tracking import Tracker
from gan_dist.weights import save_weights


class Trainer:
    """Everything that one run needs; `run` trains. Raises UserError for what cannot be run."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.accelerator = make_accelerator()
        self.is_main = self.accelerator.is_main_process
        images = run_first(
            self.accelerator,
            self.accelerator.is_local_main_process,
            lambda: load_images(config.data.dataset, config.data.data_dir),
        )
        self.batches = Batches(images, config, self.accelerator)
        self.total_steps = config.run.max_steps or config.run.epochs * self.batches.steps_per_epoch
        self.steps_done = 0
        self._build_networks()
        self.tracker = Tracker(self._run_folder(), config, self.total_steps, self.is_main)
        run_first(self.accelerator, self.is_main, self.tracker.open)

    def _build_networks(self) -> None:
        config, dtype = self.config, self.batches.dtype
        torch.manual_seed(config.run.seed)
        pair = models.load(config.model.model)
        self.generator: nn.Module = pair.Generator(latent_dim=config.model.latent_dim).to(dtype)
        self.discriminator: nn.Module = pair.Discriminator().to(dtype)
        make_global(self.generator)
        make_global(self.discriminator)
        prepared_g, prepared_d = self.accelerator.prepare(self.generator, self.discriminator)
        # Not prepared by Accelerate: its wrapper costs more than the fused step of a small network.
        betas = config.optimizer.betas
        self.opt_g = torch.optim.Adam(self.generator.parameters(), config.optimizer.lr_g, betas, fused=True)
        self.opt_d = torch.optim.Adam(self.discriminator.parameters(), config.optimizer.lr_d, betas, fused=True)
        self.step = AdversarialStep(prepared_g, prepared_d, self.discriminator, self.opt_g, self.opt_d)

    def _run_folder(self) -> Path:
        """What --run-dir names, or a folder named after the recipe and the main process's clock."""
        run = self.config.run
        if run.run_dir:
            return Path(run.run_dir)
        now = broadcast(torch.tensor(int(time.time()), device=self.accelerator.device)).item()
        return Path("runs", f"{run.recipe}-{time.strftime('%Y%m%d-%H%M%S', time.localtime(now))}")

    def run(self) -> int:
        """Train -> exit code: 0, 1 if a number is no longer finite, 130 after Ctrl-C."""
        try:
            with StopRequest() as stop:
                self._loop(stop)
            check_finite(self.steps_done, generator=self.generator, discriminator=self.discriminator)
            self._save_weights()
        except Diverged as error:
            if self.is_main:
                print(f"error: {error}; no weights were saved", file=sys.stderr)
            return 1
        finally:
            self.tracker.close()
        self.accelerator.end_training()
        return 128 + stop.signum if stop.signum else 0

    def _loop(self, stop: StopRequest) -> None:
        output = self.config.output
        meter = Meter(self.accelerator, output.log_every, self.steps_done + 1, self.batches.dtype)
        self._draw()
        for step in range(self.steps_done + 1, self.total_steps + 1):
            outcome = self.step(*self.batches(step - 1))
            meter.update(outcome)
            self.steps_done = step
            is_last = step == self.total_steps
            if step % output.log_every == 0 or is_last:
                self.tracker.log(step, (step - 1) // self.batches.steps_per_epoch, meter.read(outcome))
            if step % output.sample_every == 0 or is_last:
                self._draw()
            if stop.agreed(step):
                if meter.count:
                    meter.read(outcome)  # raises if a loss since the last row was not finite
                return

    @torch.no_grad()
    def _draw(self) -> None:
        """Write a picture from the fixed noise; the first time, one of real images as well."""
        if not self.is_main:
            return
        output, config = self.config.output, self.config
        if self.steps_done == 0:
            self.tracker.picture("real", to_unit_range(self.batches.first_images(output.num_samples)))
        noise = normal(config.run.seed, Stream.SAMPLE, 0, output.num_samples, config.model.latent_dim)
        self.generator.eval()  # also keeps GlobalBatchNorm from asking the other processes
        fake = self.generator(noise.to(self.batches.dtype).to(self.accelerator.device))
        self.generator.train()
        self.tracker.picture(f"fake_{self.steps_done:08d}", fake)

    def _save_weights(self) -> None:
        if not self.is_main:
            return
        config = self.config
        metadata = {
            "model": config.model.model,
            "dataset": config.data.dataset,
            "recipe": config.run.recipe,
            "seed": str(config.run.seed),
            "step": str(self.steps_done),
        }
        save_weights(self.generator, self.tracker.folder / "generator", metadata)
        save_weights(self.discriminator, self.tracker.folder / "discriminator", metadata)
