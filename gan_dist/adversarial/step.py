"""One adversarial step: D learns from real and fake, then G learns from D."""

import contextlib
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_dist.adversarial.augment import DRAWS, Augment
from gan_dist.adversarial.objectives import OBJECTIVES, Objective
from gan_dist.adversarial.optimizer import ScaledOptimizer
from gan_dist.adversarial.penalties import Penalties
from gan_dist.models._behaviour import looks_across_batch, unchanged


class Batch(NamedTuple):
    """This process's rows of a global batch, on its device."""

    real: Tensor  # images [N, C, H, W] in [-1, 1]
    noise: Tensor  # [N, latent_dim]
    labels: tuple[Tensor, ...] = ()  # int64 [N], of real and of generated images, if the networks take any
    uniform: Tensor | None = None  # [N, DRAWS_OF_A_STEP] in [0, 1), for augmentation and penalties
    weight: float = 1.0  # N over the mean N of all processes: what the mean of these rows counts in the mean of all

    def split(self, num: int) -> "list[Batch]":
        """In parts of equal size."""
        real, noise, *rest = (x.chunk(num) for x in (self.real, self.noise, *self.labels))
        uniform = [None] * num if self.uniform is None else self.uniform.chunk(num)
        return [Batch(real[i], noise[i], tuple(x[i] for x in rest), uniform[i], self.weight) for i in range(num)]

    def draws(self, use: int) -> Tensor:
        """The uniform numbers of one use: augmentation of real images, of generated ones for D and for G; the rest."""
        assert self.uniform is not None
        return self.uniform[:, use * DRAWS : (use + 1) * DRAWS]

    @property
    def place(self) -> Tensor | None:
        """[N] in [0, 1): where between a real and a generated image a penalty is taken."""
        return None if self.uniform is None else self.draws(3)[:, 0]

    def with_others(self, num_classes: int, every: bool) -> tuple[Tensor]:
        """Each label and all others -> [N, num_classes], or one other, drawn evenly -> [N, 2]."""
        (labels,) = self.labels
        if every:
            return ((labels[:, None] + torch.arange(num_classes, device=labels.device)) % num_classes,)
        others = labels + 1 + (self.draws(3)[:, 1] * (num_classes - 1)).long()
        return (torch.stack([labels, others % num_classes], dim=1),)


DRAWS_OF_A_STEP = 3 * DRAWS + 2


class StepResult(NamedTuple):
    """What a step computed that may be logged, on the device. The mean of a loss over processes is that over rows."""

    loss_d: Tensor  # scalar, without penalties
    loss_g: Tensor  # scalar
    logits_real: Tensor  # [N], of D before its update, for this process's rows
    logits_fake: Tensor  # [N], the same
    grad_norm_d: Tensor | None  # scalar: Euclidean norm of D's gradient before clipping; None without clipping
    grad_norm_g: Tensor | None
    penalty: Tensor | None = None  # scalar: what else was added to D's loss; None at a step without
    weight: float = 1.0  # of the batch


class AdversarialStep:
    """Updates D, then G against the new D, from real images and noise.

    generator, discriminator: as `Accelerator.prepare` returns them. optimizer_g, optimizer_d: over the modules inside.
    accumulate: parts that a batch is split into, to save memory; the gradients are the mean over the whole batch.
    num_classes: of labels, if the networks take any. penalties, augment: need a batch with `uniform`, but for R1 and
    R2.
    mismatch: weight of a term of D's loss that compares the logit of a real image with its own label to that with
    another one, after the matching-aware discriminator of Reed et al., "Generative adversarial text to image
    synthesis", ICML 2016, by cross-entropy. D then takes labels [N, 2], a row's own and the other, and gives logits
    [N, 2]. mismatch_all: to those with all other labels; then they are [N, num_classes].
    apart: whether D runs on real and on generated images separately, as it must if it has a layer such as BatchNorm;
    None until `settle` has found it out, which the first step calls if nobody did.
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        optimizer_g: ScaledOptimizer,
        optimizer_d: ScaledOptimizer,
        *,
        accumulate: int = 1,
        objective: Objective = OBJECTIVES["bce"],
        penalties: Penalties | None = None,
        augment: Augment | None = None,
        num_classes: int = 0,
        mismatch: float = 0.0,
        mismatch_all: bool = False,
    ) -> None:
        self.num_classes, self.mismatch, self.mismatch_all = num_classes, mismatch, mismatch_all
        self.generator, self.discriminator = generator, discriminator
        self.optimizer_g, self.optimizer_d, self.accumulate = optimizer_g, optimizer_d, accumulate
        self.apart: bool | None = None
        self.objective, self.penalties, self.augment = objective, penalties, augment
        self._weights_d = [p for p in optimizer_d.network.parameters() if p.requires_grad]  # the rest stays frozen

    def __call__(self, batch: Batch, step: int = 1) -> StepResult:
        """Step 1, 2, ...; all processes call it at once. step: for lazy penalties."""
        parts = batch.split(self.accumulate)
        if self.apart is None:
            self.settle(parts[0])
        raw_discriminator, last, share = self.optimizer_d.network, len(parts) - 1, batch.weight / len(parts)
        losses_d, losses_g, penalties, logits = [], [], [], []

        self._train_d(True)
        self.optimizer_d.zero_grad()
        for i, part in enumerate(parts):
            # The one forward of G serves both updates: D sees it detached, G's update goes back through it. Parts of a
            # batch are made again for G's update, so that memory holds the graph of one.
            with torch.set_grad_enabled(last == 0):
                fake = self.generator(part.noise, *part.labels)
            with _all_reduce_if(i == last, self.discriminator):
                seen = self._augmented(part.real, part, 0), self._augmented(fake.detach(), part, 1)
                judged, compared = self.judge(*seen, part)
                logits.append(judged)
                losses_d.append(self.objective.discriminator(*judged) * share)
                more = self.penalties(step, *seen, part.labels, part.place) if self.penalties else []
                if compared is not None:  # the right answer is column 0
                    more.append(self.mismatch * F.cross_entropy(compared, torch.zeros_like(part.labels[0])))
                penalties += [sum(more[1:], start=more[0]) * share] if more else []
                self.optimizer_d.backward(losses_d[i] + penalties[i] if more else losses_d[i])
        norm_d = self.optimizer_d.step()

        # D frozen and outside of DDP: its weight gradients are neither computed nor all-reduced.
        self._train_d(False)
        self.optimizer_g.zero_grad()
        for i, part in enumerate(parts):
            with _all_reduce_if(i == last, self.generator):
                fake = fake if last == 0 else self.generator(part.noise, *part.labels)
                logits_fake = raw_discriminator(self._augmented(fake, part, 2), *part.labels)
                losses_g.append(self.objective.generator(logits_fake, logits[i][0].detach()) * share)
                self.optimizer_g.backward(losses_g[i])
        norm_g = self.optimizer_g.step()
        real, generated = (torch.cat([x.detach().flatten() for x in each]) for each in zip(*logits, strict=True))
        penalty = _sum(penalties) if penalties else None
        return StepResult(_sum(losses_d), _sum(losses_g), real, generated, norm_d, norm_g, penalty, batch.weight)

    def judge(self, real: Tensor, fake: Tensor, part: Batch) -> tuple[tuple[Tensor, Tensor], Tensor | None]:
        """D's logits of real and of generated images, and of real images with their own and other labels [N, M], if
        these are asked for. From one forward where that is possible, as it is faster.
        """
        labels = part.with_others(self.num_classes, self.mismatch_all) if self.mismatch else part.labels
        if self.apart:
            logits = [self.discriminator(real, *labels), self.discriminator(fake, *labels)]
        else:
            both = self.discriminator(torch.cat([real, fake]), *(torch.cat([x, x]) for x in labels))
            logits = both.chunk(2)
        if self.mismatch:
            return (logits[0][:, 0], logits[1][:, 0]), logits[0]
        return (logits[0], logits[1]), None

    def settle(self, part: Batch) -> None:
        """Run trial passes on a part of a batch, before the first step of every start; the networks stay as they are.

        DDP sums gradients in one order until it has seen a backward pass and in another ever after (its buckets are
        rebuilt): with 4 or more processes the first step of a resumed run would differ in its last bits from the same
        step of a run that never stopped. Networks that are to be compiled are compiled here.
        """
        generator, discriminator = self.optimizer_g.network, self.optimizer_d.network
        inputs = [torch.cat([x, x]) for x in (part.real, *part.labels)]
        self.apart = looks_across_batch(discriminator, inputs)
        if self.generator is not generator:  # DDP is around it, or what compiles it
            with unchanged(generator), unchanged(discriminator):
                self.generator(part.noise, *part.labels).sum().backward()
                torch.cat(self.judge(part.real, part.real, part)[0]).sum().backward()
            generator.zero_grad()
            discriminator.zero_grad()

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """{part: {name: the live tensor}} of everything that a step changes, but for loss scalers: for a checkpoint."""
        return {
            "generator": dict(self.optimizer_g.network.state_dict()),
            "discriminator": dict(self.optimizer_d.network.state_dict()),
            "optimizer_g": self.optimizer_g.tensors(),
            "optimizer_d": self.optimizer_d.tensors(),
        }

    def _augmented(self, images: Tensor, part: Batch, use: int) -> Tensor:
        return self.augment(images, part.draws(use)) if self.augment else images

    def _train_d(self, yes: bool) -> None:
        for weight in self._weights_d:
            weight.requires_grad_(yes)


def _sum(losses: list[Tensor]) -> Tensor:
    return sum(losses[1:], start=losses[0]).detach()


def _all_reduce_if(yes: bool, network: nn.Module) -> contextlib.AbstractContextManager[None]:
    """Gradients are all-reduced with those of the last part, once for a step."""
    no_sync = getattr(network, "no_sync", None)  # DDP's, also through the wrapper of a compiled one
    return contextlib.nullcontext() if yes or no_sync is None else no_sync()
