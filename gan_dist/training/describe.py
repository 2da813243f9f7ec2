"""What a run was made with, for checkpoints and dashboards."""

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

import gan_dist
from gan_dist.config.options import Config
from gan_dist.training.state import TrainingState

VERSIONS = {"python": platform.python_version(), "gan_dist": gan_dist.__version__}
VERSIONS |= {name: version(name) for name in ("torch", "accelerate", "safetensors", "numpy")}


def describe(config: Config, accelerator: Accelerator, training: TrainingState) -> dict[str, Any]:
    """All options, and what the options do not say."""
    on_gpu = accelerator.device.type == "cuda"
    return {
        **config.to_dict(),
        "versions": VERSIONS,
        "world-size": accelerator.num_processes,
        "precision": accelerator.mixed_precision,
        "device": torch.cuda.get_device_name() if on_gpu else accelerator.device.type,
        "compiler": training.compiler,
        "compile-seconds": training.settle_seconds if training.compiler != "no" else None,
        "parameters-g": sum(p.numel() for p in training.generator.parameters()),
        "parameters-d": sum(p.numel() for p in training.discriminator.parameters()),
        "git-commit": _git_commit(),
    }


def summary(described: dict[str, Any]) -> str:
    """What `describe` gave, as the line at the start of a log: where and how a run computes."""
    more = ", deterministic" if described["deterministic"] else ""
    if described["compiler"] != "no":
        more += f", compiled by {described['compiler']} in {described['compile-seconds']:.0f} s"
    return (
        f"on {described['device']}, world size {described['world-size']}, mixed precision {described['precision']}, "
        f"{described['dtype']} products at precision {described['matmul-precision']}{more}"
    )


def _git_commit() -> str | None:
    # Fails where this file is in no commit, as in an environment somewhere below somebody else's repository.
    command = ["git", "rev-parse", "HEAD", f"HEAD:./{Path(__file__).name}"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.split()[0] if done.returncode == 0 else None
