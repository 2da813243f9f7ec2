"""A whole run: build, resume, loop, close."""

import json
import logging
from pathlib import Path

import torch
from accelerate.utils import broadcast
from torch import Tensor

from gan_dist.adversarial.finite import Diverged, check_finite
from gan_dist.adversarial.step import StepResult
from gan_dist.config.options import Config
from gan_dist.data.batches import to_unit_range
from gan_dist.data.dataset import fingerprint
from gan_dist.distributed import numerics
from gan_dist.distributed.processes import gather_rows, make_accelerator, run_first
from gan_dist.errors import reason
from gan_dist.invocation import command
from gan_dist.storage.metrics_file import read_rows
from gan_dist.storage.run_folder import RunFolder, writing
from gan_dist.storage.saver import Saver
from gan_dist.storage.weights import save_weights
from gan_dist.tracking.meter import Meter
from gan_dist.tracking.tracker import Tracker
from gan_dist.training.build import build
from gan_dist.training.describe import VERSIONS, describe, summary
from gan_dist.training.last_good import LastGood
from gan_dist.training.progress import Progress, results
from gan_dist.training.quality import Quality
from gan_dist.training.resume import resume, run_path
from gan_dist.training.samples import Samples, diversity
from gan_dist.training.stop import StopRequest

logger = logging.getLogger(__name__)

STATE_NOT_SAVED = 3  # exit code
CLOSE_SECONDS = 60  # for dashboards to take in what is left
CLOSE_SECONDS_AFTER_SIGNAL = 10  # when the machine may be taken away


class Trainer:
    """Everything that one run needs; `run` trains. What cannot be run raises UserError on all processes."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.accelerator = make_accelerator(config.run.mixed_precision, config.checkpoint.timeout_minutes)
        self.is_main = self.accelerator.is_main_process
        self.data, self.batches, self.state, self.total_steps, frequencies = build(config, self.accelerator)
        self.steps_done = 0
        self.last_good = LastGood(self.state, self.accelerator.device, self.is_main)
        self.diverged: Diverged | None = None  # why `run` gave 1
        self.samples = Samples(self.state.sampler, config, self.batches, 0 if frequencies is None else len(frequencies))
        self.quality = Quality(
            config,
            self.accelerator,
            self.state.sampler,
            self.data.images,
            frequencies,
            self.batches.steps_per_epoch,
        )
        self.folder = RunFolder(run_path(config, self.accelerator))
        saving = config.checkpoint
        self.saver = Saver(
            self.folder.checkpoints, saving.checkpoint_every, saving.checkpoint_minutes, saving.keep_checkpoints
        )
        self.progress = Progress(self.total_steps)
        self.tracker = Tracker(
            self.folder.path, config.output.trackers, config.run.batch_size, self.accelerator, self.progress.show
        )
        run_first(self.accelerator, self.is_main, self._enter)
        self.steps_done = int(broadcast(torch.tensor(self.steps_done, device=self.accelerator.device)))
        if self.steps_done:
            self.state.share(self.accelerator.device)

    def _enter(self) -> None:
        if self.is_main:
            precision, self.fingerprint = self.accelerator.mixed_precision, fingerprint(self.data)
            self.steps_done, self.run_id = resume(self.config, precision, self.fingerprint, self.folder, self.state)
            described = describe(self.config, self.accelerator, self.state)
            with writing(self.folder.path):
                self.quality.open(self.folder.path, read_rows(self.folder.path / "metrics.jsonl"), self.steps_done)
            self.tracker.open(self.steps_done, self.run_id, described)
            self.progress.begin(self.steps_done)
            print(summary(described), flush=True)
            if self.steps_done >= self.total_steps:
                print(f"nothing left to do: {self.steps_done} steps are done, {self.total_steps} were asked for")
            if left_out := len(self.batches.images) % self.config.run.batch_size:
                print(f"each epoch leaves out {left_out} images, which fill no batch", flush=True)

    def run(self, may_exit: bool = True) -> int:
        """Train -> exit code: 0, 1 if a number is no longer finite, 3 if the last state could not be saved,
        128 + the signal's number after a signal (129 SIGHUP, 130 Ctrl-C, 138 SIGUSR1, 143 SIGTERM).

        may_exit: whether a second signal may end the process; if not it raises KeyboardInterrupt.
        """
        options = self.config.checkpoint
        with StopRequest(options.timeout_minutes, self.accelerator.device, may_exit) as stop:
            try:
                self._train(stop)
            except BaseException:
                self._close(1, stop)
                raise
            with stop.ending(self.is_main):
                code = 1 if self.diverged else self._save_last() or (128 + stop.agreed_on if stop.agreed_on else 0)
                self._close(code, stop)
            # A process that ends early makes a launcher stop the others, the main process may still be saving.
            self.accelerator.wait_for_everyone()
        self.accelerator.end_training()
        return code

    def _train(self, stop: StopRequest) -> None:
        """To the last step, the one to stop at, or the one after which a number is no longer finite: `diverged`."""
        try:
            self._loop(stop)
            check_finite(self.steps_done, self.state.tensors())
        except Diverged as error:
            self.diverged = error
            seen_at = self.steps_done, self._epoch()
            self.steps_done = self.last_good.go_before(error.step, self.batches) - 1
            if self.is_main and self.steps_done:
                self._save_checkpoint()
            look = f"{command('replay')} {self.folder.path} --step {self.steps_done + 1} shows where it comes from"
            self.tracker.diverged(*seen_at, f"{error}; {look}")

    def _close(self, code: int, stop: StopRequest) -> None:
        self.saver.wait()
        if self.is_main:
            self.progress.close()
            self.quality.tidy()
        self.tracker.close(code, CLOSE_SECONDS_AFTER_SIGNAL if stop.agreed_on else CLOSE_SECONDS)
        if self.is_main:
            print(results(self.folder.path))
            if best := self.quality.of_best():
                print(best)

    def _loop(self, stop: StopRequest) -> None:
        output = self.config.output
        meter = Meter(
            self.state.generator,
            self.state.discriminator,
            self.accelerator,
            output.log_every,
            self.steps_done + 1,
            self.batches.dtype,
            self.state.step.objective.boundary,
        )
        if self.steps_done == 0 and self.is_main:
            self.tracker.picture(0, "real", "real", self._real_images())
            self._draw()
        self.last_good.keep(self.steps_done)
        for step in range(self.steps_done + 1, self.total_steps + 1):
            result = self.state.train(step, self.batches(step))
            meter.update(result)
            self.steps_done = step
            is_last = step == self.total_steps
            if step % output.log_every == 0 or is_last:
                self._log(meter, result)
            if step % output.sample_every == 0 or is_last:
                self._sample(result)
            if self.quality.is_due(step, is_last):
                self._evaluate()
            if self.is_main and self.saver.is_due(step):
                self._save_checkpoint()
            if stop.agreed(step):
                if meter.count:
                    meter.read(result)  # raises if a loss since the last row was not finite
                return

    def _log(self, meter: Meter, result: StepResult) -> None:
        numbers = meter.read(result) | self.state.rates() | self.state.scaling(self.steps_done)
        numbers |= numerics.readings(self.accelerator.device)
        numbers["data_wait_ms"] = self.batches.take_wait() / meter.steps_read * 1e3
        self.tracker.log(self.steps_done, self._epoch(), numbers)
        self.last_good.keep(self.steps_done)

    def _sample(self, result: StepResult) -> None:
        """Show samples and logits; every process must call it, as the logits are gathered from all."""
        logits = gather_rows(self.accelerator, torch.stack([result.logits_real, result.logits_fake], dim=1))
        if self.is_main:
            fake = self._draw()
            spread = diversity(fake, self._real_images())
            self.tracker.samples(self.steps_done, spread, {"real": logits[:, 0], "fake": logits[:, 1]})

    def _evaluate(self) -> None:
        """Every process must call it."""
        figures = self.quality(self.steps_done, self._save_generator)
        if figures:
            self.tracker.evaluation(self.steps_done, self._epoch(), figures)
            self.progress.say(f"step {self.steps_done}: {self.quality.told(self.steps_done)}")
            for alert in self.quality.alerts(self.steps_done, figures):
                self.tracker.alert(alert)

    def _save_generator(self, folder: Path, more: dict[str, str]) -> None:
        save_weights(self.state.sampler, folder, self._metadata() | more, role="generator")

    def _metadata(self) -> dict[str, str]:
        """What is recorded beside weights."""
        return {
            "model": self.config.model.model,
            "model_version": self.state.version,
            "arguments": json.dumps(self.state.offered),
            "clusters": str(self.config.model.clusters),
            "dataset": self.data.name,
            "recipe": self.config.run.recipe,
            "seed": str(self.config.run.seed),
            "step": str(self.steps_done),
        }

    def _draw(self) -> Tensor:
        fake = self.samples.draw(self.samples.noise(self.config.output.num_samples))
        self.tracker.picture(self.steps_done, "fake", f"fake_{self.steps_done:08d}", fake)
        return fake

    def _real_images(self) -> Tensor:
        return to_unit_range(self.batches.first_images(self.config.output.num_samples))

    def _epoch(self) -> int:
        return max(0, self.steps_done - 1) // self.batches.steps_per_epoch

    def _save_checkpoint(self) -> None:
        self.folder.check_ours()
        state = {
            "step": self.steps_done,
            "epoch": self._epoch(),
            "images_seen": self.steps_done * self.config.run.batch_size,
            "config": self.config.to_dict(),
            "data": self.fingerprint,
            "arguments": self.state.offered,
            "precision": self.accelerator.mixed_precision,
            "scalers": self.state.scaler_states(),
            "world_size": self.accelerator.num_processes,
            "versions": VERSIONS | {"model": self.state.version},
            "trackers": {"id": self.run_id},
        }
        self.saver.save(self.state.tensors(), state, before=self.tracker.sync)

    def _save_last(self) -> int:
        """Save the last state and the final weights -> exit code 0, or 3 if either failed."""
        if not self.is_main:
            return 0
        self.saver.wait()
        if self.saver.last_step != self.steps_done or self.saver.failure:
            self._save_checkpoint()
        if self.steps_done >= self.total_steps:
            self.tracker.picture(self.steps_done, "interpolation", "interpolation", self.samples.interpolation())
        try:
            self._save_generator(self.folder.path / "generator", {})
            save_weights(
                self.state.discriminator, self.folder.path / "discriminator", self._metadata(), role="discriminator"
            )
            self.tracker.weights(self.folder.path / "generator", self._metadata())
        except Exception as error:  # whatever it is: dashboards are still to be closed
            logger.warning("the final weights were not saved (%s)", reason(error))
            return STATE_NOT_SAVED
        self.saver.wait()
        return STATE_NOT_SAVED if self.saver.failure else 0
