"""Checks what the launcher asks for, and refuses what cannot be run."""

import contextlib
import logging
import os

import psutil
from accelerate.utils import parse_flag_from_env

from gan_dist.errors import UserError
from gan_dist.invocation import command, launch_with

logger = logging.getLogger(__name__)

OTHER_KINDS = ("FSDP", "DEEPSPEED", "MEGATRON_LM")  # Accelerate's distributed_type
# Each is how some launcher says how many processes it has started.
SIZES = ("WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS")


def check_config(mixed_precision: str | None) -> None:
    """Refuse what Accelerate's config may ask for and a run here cannot have, before Accelerate shards or fails.

    Raises UserError.
    """
    for kind in OTHER_KINDS:
        if parse_flag_from_env(f"ACCELERATE_USE_{kind}"):
            raise UserError(
                f"distributed_type {kind}: each process must hold both networks whole; "
                f"take a config that {command('accelerate_config')} lists"
            )
    precision = mixed_precision or os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
    if precision not in ("no", "bf16", "fp16"):
        raise UserError(f"mixed_precision {precision}: take --mixed-precision no, bf16 or fp16")


def check_size(num_processes: int) -> None:
    """Refuse several processes that each believe to be the only one: they would write the same files.

    Raises UserError where the launcher started more processes than Accelerate sees; warns where it was asked for more.
    """
    for name in SIZES:
        started = int(os.environ.get(name) or 1)
        if started > num_processes:
            raise UserError(
                f"{name}={started}, but this process sees {num_processes} in its job: every copy would believe "
                f"to be the first; start it with {launch_with('cpu_2')}"
            )
    if num_processes == 1 and _was_asked_for_several():
        logger.warning(
            "the launcher was asked for several processes and started one, as its config says; "
            "take one of several: cpu_2 or gpu_all (%s names its file)",
            command("accelerate_config"),
        )


def _was_asked_for_several() -> bool:
    """Whether Accelerate's launcher of a single process has set the address that only several would need."""
    with contextlib.suppress(psutil.Error, OSError):
        parent = psutil.Process().parent()
        address = os.environ.get("MASTER_ADDR")
        return bool(parent and "RANK" not in os.environ and address != parent.environ().get("MASTER_ADDR"))
    return False
