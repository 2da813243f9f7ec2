"""A whole run: build, resume, loop, close."""

import platform
import sys
from importlib.metadata import version

import torch
from accelerate.utils import broadcast

import gan_dist
from gan_dist.batches import Batches, to_unit_range
from gan_dist.config import Config
from gan_dist.data import load_images
from gan_dist.metrics import Diverged, Meter, check_finite
from gan_dist.networks import Networks
from gan_dist.order import Stream, normal
from gan_dist.processes import make_accelerator, run_first
from gan_dist.resume import resume, run_path
from gan_dist.run_folder import RunFolder
from gan_dist.saver import Saver
from gan_dist.stop import StopRequest
from gan_dist.tracking import Tracker
from gan_dist.weights import save_weights

STATE_NOT_SAVED = 3  # exit code
VERSIONS = {"python": platform.python_version(), "gan_dist": gan_dist.__version__}
VERSIONS |= {name: version(name) for name in ("torch", "accelerate", "safetensors", "numpy")}


class Trainer:
    """Everything that one run needs; `run` trains. Raises UserError for what cannot be run."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.accelerator = make_accelerator(config.checkpoint.timeout_minutes)
        self.is_main = self.accelerator.is_main_process
        images = run_first(
            self.accelerator,
            self.accelerator.is_local_main_process,
            lambda: load_images(config.data.dataset, config.data.data_dir),
        )
        self.batches = Batches(images, config, self.accelerator)
        self.total_steps = config.run.max_steps or config.run.epochs * self.batches.steps_per_epoch
        self.steps_done = 0
        self.networks = Networks(config, self.accelerator)
        self.folder = RunFolder(run_path(config, self.accelerator))
        self.saver = Saver(self.folder.checkpoints, config.checkpoint)
        self.tracker = Tracker(self.folder.path, config, self.total_steps, self.is_main)
        run_first(self.accelerator, self.is_main, self._enter)
        self.steps_done = int(broadcast(torch.tensor(self.steps_done, device=self.accelerator.device)))
        if self.steps_done:
            self.networks.share()

    def _enter(self) -> None:
        if self.is_main:
            precision = self.accelerator.mixed_precision
            self.steps_done = resume(self.config, precision, self.folder, self.networks.tensors())
            self.tracker.open(self.steps_done)

    def run(self) -> int:
        """Train -> exit code: 0, 1 if a number is no longer finite, 3 if the last state could not be saved,
        128 + the signal's number after a signal (130 for Ctrl-C, 143 for SIGTERM, 138 for SIGUSR1).
        """
        with StopRequest() as stop:
            try:
                self._loop(stop)
                check_finite(self.steps_done, self.networks.tensors())
                code = self._save_last() or (128 + stop.agreed_on if stop.agreed_on else 0)
            except Diverged as error:
                if self.is_main:
                    print(f"error: {error}; no weights were saved", file=sys.stderr)
                code = 1
            finally:
                self.saver.wait()
                self.tracker.close()
            # A process that ends early makes a launcher stop the others, the main process may still be saving.
            self.accelerator.wait_for_everyone()
        self.accelerator.end_training()
        return code

    def _loop(self, stop: StopRequest) -> None:
        output = self.config.output
        meter = Meter(self.accelerator, output.log_every, self.steps_done + 1, self.batches.dtype)
        if self.steps_done == 0:
            self._draw()
        for step in range(self.steps_done + 1, self.total_steps + 1):
            outcome = self.networks.step(*self.batches(step - 1))
            meter.update(outcome)
            self.steps_done = step
            is_last = step == self.total_steps
            if step % output.log_every == 0 or is_last:
                self.tracker.log(step, self._epoch(), meter.read(outcome))
            if step % output.sample_every == 0 or is_last:
                self._draw()
            if self.is_main and self.saver.is_due(step):
                self._save_checkpoint()
            if stop.agreed(step):
                if meter.count:
                    meter.read(outcome)  # raises if a loss since the last row was not finite
                return

    def _epoch(self) -> int:
        return max(0, self.steps_done - 1) // self.batches.steps_per_epoch

    @torch.no_grad()
    def _draw(self) -> None:
        """Write a picture from the fixed noise; the first time, one of real images as well."""
        if not self.is_main:
            return
        config, num_samples = self.config, self.config.output.num_samples
        if self.steps_done == 0:
            self.tracker.picture("real", to_unit_range(self.batches.first_images(num_samples)))
        (noise,) = normal(config.run.seed, Stream.SAMPLE, [0], num_samples, config.model.latent_dim)
        generator = self.networks.generator
        generator.eval()  # also keeps GlobalBatchNorm from asking the other processes
        fake = generator(noise.to(self.batches.dtype).to(self.accelerator.device))
        generator.train()
        self.tracker.picture(f"fake_{self.steps_done:08d}", fake)

    def _save_checkpoint(self) -> None:
        state = {
            "step": self.steps_done,
            "epoch": self._epoch(),
            "images_seen": self.steps_done * self.config.run.batch_size,
            "config": self.config.to_dict(),
            "precision": self.accelerator.mixed_precision,
            "world_size": self.accelerator.num_processes,
            "versions": VERSIONS,
            "trackers": {},
        }
        self.saver.save(self.networks.tensors(), state, before=self.tracker.sync)

    def _save_last(self) -> int:
        """Save the last state and the final weights -> exit code 0, or 3 if either failed."""
        if not self.is_main:
            return 0
        self.saver.wait()
        if self.saver.last_step != self.steps_done or self.saver.failure:
            self._save_checkpoint()
        config = self.config
        metadata = {
            "model": config.model.model,
            "dataset": config.data.dataset,
            "recipe": config.run.recipe,
            "seed": str(config.run.seed),
            "step": str(self.steps_done),
        }
        try:
            save_weights(self.networks.generator, self.folder.path / "generator", metadata)
            save_weights(self.networks.discriminator, self.folder.path / "discriminator", metadata)
        except OSError as error:
            print(f"warning: the final weights were not saved ({error.strerror})", file=sys.stderr)
            return STATE_NOT_SAVED
        self.saver.wait()
        return STATE_NOT_SAVED if self.saver.failure else 0
