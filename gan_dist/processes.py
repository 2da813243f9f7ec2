"""What has to be right about a job of several processes before it trains."""

import os
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import NoReturn, TypeVar

import psutil
import torch
import torch.distributed as dist
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs

from gan_dist.errors import UserError, tell

T = TypeVar("T")

HOW_TO_LAUNCH = "start it with accelerate launch --config_file accelerate_configs/cpu_2.yaml gan_dist/train.py"


def make_accelerator(mixed_precision: str | None = None, timeout_minutes: float = 10) -> Accelerator:
    """Accelerate's state for this process; it takes another that is silent for so long for dead.

    Raises UserError for a launch that would not train as one job.
    """
    # torch 2.14 deprecates the only name of that switch which Accelerate 1.15 can pass on.
    warnings.filterwarnings("ignore", message="`broadcast_buffers` is deprecated", category=FutureWarning)
    timeout = timedelta(minutes=timeout_minutes)
    _join_after_restart(timeout)
    accelerator = Accelerator(
        mixed_precision=mixed_precision,
        # Without cpu=True a machine without a GPU trains one independent copy in each process.
        cpu=not torch.accelerator.is_available(),
        # Two forwards of D before one backward break on broadcast buffers (pytorch#22095); norm.py keeps
        # them equal where they matter.
        kwargs_handlers=[
            DistributedDataParallelKwargs(broadcast_buffers=False),
            InitProcessGroupKwargs(timeout=timeout),
        ],
    )
    check_launch(accelerator.num_processes, os.environ)
    run_first(accelerator, accelerator.is_main_process, lambda: _check_precision(accelerator))
    return accelerator


def _check_precision(accelerator: Accelerator) -> None:
    precision, device = accelerator.mixed_precision, accelerator.device.type
    if precision not in ("no", "bf16", "fp16"):
        raise UserError(f"--mixed-precision {precision}: take no, bf16 or fp16")
    if precision == "fp16" and device != "cuda":  # Accelerate would train in fp32 without a word
        raise UserError(f"--mixed-precision fp16: needs a GPU, and this is a {device}; take bf16 or no")


def _join_after_restart(timeout: timedelta) -> None:
    """Join the job of a launcher's second or later try, on one machine, before Accelerate does.

    torch's elastic launcher keeps one store for all tries, where the addresses of dead processes are still to be found:
    a process that reads one before its new owner has written it fails to connect. So each try has keys of its own.
    """
    environment = os.environ
    restarts = environment.get("TORCHELASTIC_RESTART_COUNT", "0")
    on_one_machine = environment.get("LOCAL_WORLD_SIZE") == environment.get("WORLD_SIZE")
    if restarts == "0" or not on_one_machine or environment.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return
    store = dist.TCPStore(environment["MASTER_ADDR"], int(environment["MASTER_PORT"]), timeout=timeout)
    dist.init_process_group(
        "nccl" if torch.cuda.is_available() else "gloo",
        store=dist.PrefixStore(f"restart_{restarts}", store),
        rank=int(environment["RANK"]),
        world_size=int(environment["WORLD_SIZE"]),
        timeout=timeout,
    )


def check_launch(num_processes: int, environment: Mapping[str, str]) -> None:
    """Refuse several processes that each believe to be the only one: they would write the same files.

    Raises UserError where the launcher started more processes than Accelerate sees.
    """
    for name in ("WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"):
        started = int(environment.get(name) or 1)
        if started > num_processes:
            raise UserError(
                f"{name}={started}, but this process sees {num_processes} in its job: every copy would believe "
                f"to be the first; {HOW_TO_LAUNCH}"
            )


def start_time() -> float:
    """When this job began, in seconds since 1970: the same after a launcher has restarted its processes."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return psutil.Process(os.getppid()).create_time()
    return time.time()


def run_first(accelerator: Accelerator, is_first: bool, action: Callable[[], T]) -> T:
    """What `action` returns, called first where `is_first`, then on the other processes.

    If it raises UserError there, that process tells it, and all of them exit with code 2.
    """
    result, failed = None, False
    if is_first:
        try:
            result = action()
        except UserError as error:
            failed = True
            tell(error)  # before the others know: once one of them has left, the launcher ends this one
    if accelerator.reduce(torch.tensor(float(failed), device=accelerator.device)):
        exit_now(2)  # right after a collective Python's own way out can abort: gloo's thread lets go of the tensor late
    return result if is_first else action()  # type: ignore[return-value]


def exit_now(code: int) -> NoReturn:
    """Leave without what Python and its libraries do at exit."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
