"""Both networks, their optimizers and the step over them, built from a configuration."""

import torch
import torch.distributed as dist
from accelerate import Accelerator
from torch import Tensor, nn

from gan_dist import models
from gan_dist.config import Config
from gan_dist.norm import make_global
from gan_dist.step import AdversarialStep


class Networks:
    """The whole state of training: what a step changes and a checkpoint keeps."""

    def __init__(self, config: Config, accelerator: Accelerator) -> None:
        dtype = getattr(torch, config.run.dtype)
        torch.manual_seed(config.run.seed)
        pair = models.load(config.model.model)
        self.generator: nn.Module = pair.Generator(latent_dim=config.model.latent_dim).to(dtype)
        self.discriminator: nn.Module = pair.Discriminator().to(dtype)
        make_global(self.generator)
        make_global(self.discriminator)
        prepared_g, prepared_d = accelerator.prepare(self.generator, self.discriminator)
        # Not prepared by Accelerate: its wrapper costs more than the fused step of a small network.
        self.opt_g = _make_adam(self.generator, config.optimizer.lr_g, config.optimizer.betas)
        self.opt_d = _make_adam(self.discriminator, config.optimizer.lr_d, config.optimizer.betas)
        self.step = AdversarialStep(prepared_g, prepared_d, self.discriminator, self.opt_g, self.opt_d)

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """{part: {name: the live tensor}} of everything that a step changes."""
        return {
            "generator": dict(self.generator.state_dict()),
            "discriminator": dict(self.discriminator.state_dict()),
            "optimizer_g": _adam_tensors(self.opt_g, self.generator),
            "optimizer_d": _adam_tensors(self.opt_d, self.discriminator),
        }

    def share(self) -> None:
        """Give every process the main process's tensors."""
        if dist.is_initialized():
            for group in self.tensors().values():
                for tensor in group.values():
                    dist.broadcast(tensor, src=0)


def _make_adam(network: nn.Module, lr: float, betas: tuple[float, float]) -> torch.optim.Adam:
    optimizer = torch.optim.Adam(network.parameters(), lr, betas, fused=True)
    # The state that Adam would make in its first step, here already, so that a checkpoint can be loaded into it.
    for p in network.parameters():
        step = torch.zeros((), dtype=torch.float32, device=p.device)
        optimizer.state[p] = {"step": step, "exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)}
    return optimizer


def _adam_tensors(optimizer: torch.optim.Adam, network: nn.Module) -> dict[str, Tensor]:
    return {
        f"{name}.{key}": tensor
        for name, parameter in network.named_parameters()
        for key, tensor in optimizer.state[parameter].items()
    }
