"""Both networks, their optimizers and the step over them, built from a configuration."""

import logging
import random
import time
import warnings
from collections.abc import Sequence

import numpy as np
import torch
import torch.distributed as dist
from accelerate import Accelerator
from torch import Tensor, nn
from torch.amp import GradScaler

from gan_dist import models
from gan_dist.adversarial.augment import Augment
from gan_dist.adversarial.average import Average
from gan_dist.adversarial.objectives import OBJECTIVES
from gan_dist.adversarial.optimizer import ScaledOptimizer, make_adam
from gan_dist.adversarial.penalties import Penalties, Penalty
from gan_dist.adversarial.schedule import Schedule
from gan_dist.adversarial.step import AdversarialStep, Batch, StepResult
from gan_dist.config.options import Config
from gan_dist.data.order import seed_of_networks
from gan_dist.distributed.batchnorm import ClassStd, GlobalBatchNorm, MinibatchStd, make_global
from gan_dist.distributed.processes import several, share
from gan_dist.models._behaviour import depends_on_processes, draws_random_numbers, looks_across_batch
from gan_dist.models._contract import make

logger = logging.getLogger(__name__)


class TrainingState:
    """Networks and optimizers: what a step changes and a checkpoint saves.

    total_steps: of the run, for learning rates. class_frequencies: [num_classes] in training, if networks take labels.
    """

    def __init__(
        self,
        config: Config,
        accelerator: Accelerator,
        image_shape: Sequence[int],
        total_steps: int,
        class_frequencies: Tensor | None = None,
    ) -> None:
        options, objective = config.optimizer, OBJECTIVES[config.optimizer.objective]
        seed_everything(config.run.seed)
        rows = config.run.batch_size // options.accumulate
        num_classes = 0 if class_frequencies is None else len(class_frequencies)
        offered = {
            "latent_dim": config.model.latent_dim,
            "image_shape": tuple(image_shape),
            "num_classes": num_classes,
        }
        self.offered = offered | models.read_arguments(config.model.model_args)
        self.module = models.load(config.model.model)
        self.version = models.version(self.module)  # of the networks' code
        compared = (num_classes if options.mismatch_all else 2) if options.mismatch else 0
        pair = make(config.model.model, self.module, self.offered, getattr(torch, config.run.dtype), rows, compared)
        self.seed, self.process = config.run.seed, accelerator.process_index
        self.compiler = accelerator.state.dynamo_plugin.backend.value.lower()  # "no" without
        self.settle_seconds = 0.0
        self.generator, self.discriminator = pair["Generator"], pair["Discriminator"]
        if class_frequencies is not None and hasattr(self.generator, "class_frequencies"):
            self.generator.class_frequencies.copy_(class_frequencies)  # type: ignore[operator]
        make_global(self.discriminator)
        penalties = Penalties(
            self.discriminator,
            r1=Penalty(options.r1, options.r1_every),
            r2=Penalty(options.r2, options.r2_every),
            between=objective.gradient_penalty,
        )
        self.average = Average(self.generator, options.ema) if options.ema else None
        make_global(self.generator)
        with warnings.catch_warnings():  # torch 2.14 deprecates the only name that Accelerate 1.15 can pass on
            warnings.filterwarnings("ignore", message="`broadcast_buffers` is deprecated", category=FutureWarning)
            # If it has to find out whether to place them, Accelerate imports torch.distributed.tensor: half a second.
            networks = self.generator, self.discriminator
            prepared_g, prepared_d = accelerator.prepare(*networks, device_placement=[True, True])
        if self.average:
            self.average.network.to(accelerator.device)
        # Not prepared by Accelerate: its wrapper costs more than the fused step of a small network, and its one loss
        # scaler would serve both.
        fp16 = accelerator.mixed_precision == "fp16"
        self.optimizers = {
            name: ScaledOptimizer(
                network,
                make_adam(network, lr, options.betas),
                GradScaler(accelerator.device.type, enabled=fp16),
                options.clip_grad_norm,
            )
            for name, network, lr in (("d", self.discriminator, options.lr_d), ("g", self.generator, options.lr_g))
        }
        optimizer_g, optimizer_d = self.optimizers["g"], self.optimizers["d"]
        self.step = AdversarialStep(
            prepared_g,
            prepared_d,
            optimizer_g,
            optimizer_d,
            accumulate=options.accumulate,
            objective=objective,
            penalties=penalties,
            augment=Augment(config.data.augment) if config.data.augment else None,
            num_classes=num_classes,
            mismatch=options.mismatch,
            mismatch_all=options.mismatch_all,
        )
        self.batch_size = config.run.batch_size
        total = total_steps * self.batch_size
        self.schedule = Schedule(options.lr_schedule, total, options.lr_warmup, options.lr_decay_start, options.lr_end)
        self.full_rates = {"d": options.lr_d, "g": options.lr_g}
        self.mismatch, self.mismatch_falls = options.mismatch, options.mismatch_falls

    @property
    def sampler(self) -> nn.Module:
        """The network that pictures and final weights are of."""
        return self.average.network if self.average else self.generator

    def settle(self, batch: Batch) -> None:
        """Run trial passes before the first step of every start; they leave the networks unchanged.

        `batch` has the shapes of a part of a step's.
        """
        real, noise, labels, *_ = batch
        start = time.perf_counter()
        self.step.settle(batch)
        self.settle_seconds = time.perf_counter() - start
        networks, inputs = (self.generator, self.discriminator), ([noise, *labels], [real, *labels])
        looks = looks_across_batch(self.generator, inputs[0]), self.step.apart
        self.draws = any(draws_random_numbers(*each) for each in zip(networks, inputs, strict=True))
        if several():
            for network, each, yes in zip(networks, inputs, looks, strict=True):
                if yes:
                    self._warn_of_layers(network, each)

    def _warn_of_layers(self, network: nn.Module, inputs: Sequence[Tensor]) -> None:
        """Of layers that look across the batch of one process, where there are several. Every process must call it."""
        is_global = any(isinstance(module, GlobalBatchNorm | MinibatchStd | ClassStd) for module in network.modules())
        is_safe = is_global and not depends_on_processes(network, inputs)
        if not is_safe and self.process == 0:
            words = f"{type(network).__name__} looks across its batch, of which each process has a part"
            logger.warning("%s: its results depend on the number of processes", words)

    def train(self, step: int, batch: Batch) -> StepResult:
        """Step 1, 2, ...

        Networks that draw random numbers, as Dropout does, draw the same ones after a resume: torch's generators are
        set from (seed, step, process).
        """
        if self.draws:
            torch.manual_seed(seed_of_networks(self.seed, step, self.process))
        factor = self.schedule.factor((step - 1) * self.batch_size)
        for name, optimizer in self.optimizers.items():
            optimizer.optimizer.param_groups[0]["lr"] = self.full_rates[name] * factor
        self.step.mismatch = self.mismatch * (factor if self.mismatch_falls else 1)
        result = self.step(batch, step)
        if self.average:
            self.average.update(self.generator, self.batch_size, step * self.batch_size)
        return result

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """{part: {name: the live tensor}} of everything that a step changes."""
        average = {"average": dict(self.average.network.state_dict())} if self.average else {}
        return {**average, **self.step.tensors()}

    def scaler_states(self) -> dict[str, dict[str, float]]:
        """Of both loss scalers, for a checkpoint; empty ones without fp16."""
        return {name: optimizer.scaler.state_dict() for name, optimizer in self.optimizers.items()}

    def load_scaler_states(self, states: dict[str, dict[str, float]]) -> None:
        """What `scaler_states` gave."""
        for name, optimizer in self.optimizers.items():
            if optimizer.scaler.is_enabled():
                optimizer.scaler.load_state_dict(states[name])

    def rates(self) -> dict[str, float]:
        """Both learning rates."""
        return {f"lr_{name}": optimizer.optimizer.param_groups[0]["lr"] for name, optimizer in self.optimizers.items()}

    def scaling(self, steps_done: int) -> dict[str, float]:
        """Both loss scales, and how many steps each network has skipped; {} without fp16. Waits for the device."""
        numbers: dict[str, float] = {}
        for name, optimizer in self.optimizers.items():
            if optimizer.scaler.is_enabled():
                made = next(iter(optimizer.optimizer.state.values()))["step"].item()
                numbers |= {f"loss_scale_{name}": optimizer.scaler.get_scale(), f"skipped_{name}": steps_done - made}
        return numbers

    def share(self, device: torch.device) -> None:
        """Give every process the main process's tensors and loss scalers."""
        if not dist.is_initialized():
            return
        share(self.tensors())
        states = self.scaler_states()
        for name, state in states.items():
            if state:  # with fp16
                numbers = torch.tensor(list(state.values()), dtype=torch.float64, device=device)
                dist.broadcast(numbers, src=0)
                # Some of them must stay whole numbers.
                states[name] = {key: type(state[key])(x) for key, x in zip(state, numbers.tolist(), strict=True)}
        self.load_scaler_states(states)


def seed_everything(seed: int) -> None:
    """For the first weights, wherever a network takes them from."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
