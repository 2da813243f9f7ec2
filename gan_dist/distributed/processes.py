"""Sets up the processes of a job, and checks that they form one."""

import itertools
import logging
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from datetime import timedelta
from threading import Thread
from typing import TypeVar

import psutil
import torch
import torch.distributed as dist
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs, parse_flag_from_env
from torch import Tensor

from gan_dist.distributed import gpus, launcher
from gan_dist.distributed.interface import choose_interface
from gan_dist.errors import Told, UserError, tell

PULSE_SECONDS = 1.0

T = TypeVar("T")
logger = logging.getLogger(__name__)
_times = itertools.count()  # that this process has joined a job


def make_accelerator(mixed_precision: str | None = None, timeout_minutes: float = 10) -> Accelerator:
    """Make the Accelerator of this process; one that is silent for timeout_minutes counts as dead.

    Raises UserError for a launch that would not train as one job.
    """
    launcher.check_config(mixed_precision)
    cpu = _on_cpu()
    if not cpu and torch.cuda.is_available():
        _check_own_gpu()
    timeout = timedelta(minutes=timeout_minutes)
    _join_again("nccl" if torch.cuda.is_available() and not cpu else "gloo", timeout)
    store = choose_interface(timeout)
    accelerator = Accelerator(
        mixed_precision=mixed_precision,
        cpu=cpu,
        # Two forwards of D before one backward break on broadcast buffers (pytorch#22095); batchnorm.py keeps
        # them equal where they matter.
        kwargs_handlers=[
            # Gradients of up to 4 MB in one message; in the buffer that is sent, not copied to it (docs/scaling.md).
            DistributedDataParallelKwargs(broadcast_buffers=False, bucket_cap_mb=4, gradient_as_bucket_view=True),
            InitProcessGroupKwargs(timeout=timeout),
        ],
    )
    del store
    launcher.check_size(accelerator.num_processes)
    run_first(accelerator, accelerator.is_main_process, lambda: _check_precision(accelerator))
    return accelerator


def _on_cpu() -> bool:
    """Whether this process trains on the CPU."""
    if parse_flag_from_env("ACCELERATE_USE_CPU") or not torch.accelerator.is_available():
        return True  # without being told, Accelerate trains one independent copy in each process
    device = torch.accelerator.current_accelerator()
    return device is not None and device.type == "mps" and int(os.environ.get("WORLD_SIZE", 1)) > 1


def _check_own_gpu() -> None:
    try:
        gpus.check(int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count())  # the one that Accelerate takes
    except UserError as error:  # of this process, whatever the others find: it tells it itself
        raise tell(error) from None


def _check_precision(accelerator: Accelerator) -> None:
    precision, device = accelerator.mixed_precision, accelerator.device.type
    if precision == "fp16" and device != "cuda":  # Accelerate would train in fp32 without a word
        raise UserError(f"--mixed-precision fp16: needs a GPU, and this is a {device}; take bf16 or no")
    if precision == "bf16" and device == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        words = f"{torch.cuda.get_device_name()} has no bf16, and to emulate it is slow; take fp16 or no"
        if accelerator.is_main_process:
            logger.warning("--mixed-precision bf16: %s", words)


def _join_again(backend: str, timeout: timedelta) -> None:
    """Join the job of a launcher's second or later try, or once more in this process, on one machine, before Accelerate
    does.

    torch's elastic launcher keeps one store for all tries, where the addresses of dead processes are still to be found:
    a process that reads one before its new owner has written it fails to connect. So each time has keys of its own.
    """
    environment = os.environ
    restarts, number = environment.get("TORCHELASTIC_RESTART_COUNT", "0"), next(_times)
    on_one_machine = environment.get("LOCAL_WORLD_SIZE") == environment.get("WORLD_SIZE")
    if (restarts, number) == ("0", 0) or not on_one_machine:
        return
    if environment.get("TORCHELASTIC_USE_AGENT_STORE") != "True" or dist.is_initialized():
        return
    store = dist.TCPStore(environment["MASTER_ADDR"], int(environment["MASTER_PORT"]), timeout=timeout)
    dist.init_process_group(
        backend,
        store=dist.PrefixStore(f"restart_{restarts}_{number}", store),
        rank=int(environment["RANK"]),
        world_size=int(environment["WORLD_SIZE"]),
        timeout=timeout,
    )


def several() -> bool:
    """Whether this job has more than one process."""
    return dist.is_initialized() and dist.get_world_size() > 1


def start_time() -> float:
    """When this job began, in seconds since 1970: the same after a launcher has restarted its processes."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return psutil.Process(os.getppid()).create_time()
    return time.time()


def share(tensors: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Give every process the main process's {part: {name: tensor}}, in place."""
    if dist.is_initialized():
        for group in tensors.values():
            for tensor in group.values():
                dist.broadcast(tensor, src=0)


def share_text(text: str, device: torch.device) -> str:
    """The main process's text, on every process. device: of this process."""
    if not dist.is_initialized():
        return text
    content = torch.tensor(list(text.encode()), dtype=torch.uint8, device=device)
    size = torch.tensor(len(content), device=device)
    dist.broadcast(size, src=0)
    content = content if dist.get_rank() == 0 else torch.empty(int(size), dtype=torch.uint8, device=device)
    dist.broadcast(content, src=0)
    return bytes(content.tolist()).decode()


def gather_rows(accelerator: Accelerator, rows: Tensor) -> Tensor:
    """[N, K] of all processes, with any N on each -> [sum of N, K], on every process."""
    marked = torch.cat([rows, torch.ones_like(rows[:, :1])], dim=1)  # the rows that fill up have zeros
    gathered = accelerator.gather(accelerator.pad_across_processes(marked))
    return gathered[gathered[:, -1] == 1, :-1]


def run_first(accelerator: Accelerator, is_first: bool, action: Callable[[], T]) -> T:
    """Call `action` first where `is_first`, then on the other processes -> what it returns.

    If it raises UserError there, that process logs it, and all of them raise Told.
    """
    result, failure = None, None
    if is_first:
        try:
            result = action()
        except UserError as error:
            failure = tell(error)  # before the others know: once one of them has left, the launcher ends this one
    if accelerator.reduce(torch.tensor(float(failure is not None), device=accelerator.device)):
        raise failure or Told("another process of this job has met an error, which it has logged")
    return result if is_first else action()  # type: ignore[return-value]


def run_first_long(accelerator: Accelerator, is_first: bool, action: Callable[[], T]) -> T:
    """`run_first` for what may take longer than a process waits for the others before it treats them as dead."""
    if not several():
        return run_first(accelerator, is_first, action)
    outcome: Future[T] = Future()

    def work() -> None:
        try:
            outcome.set_result(action())
        except BaseException as error:
            outcome.set_exception(error)

    if is_first:
        Thread(target=work, daemon=True).start()
    busy = True
    while busy:  # each turn is short
        mine = is_first and not wait([outcome], PULSE_SECONDS).done
        busy = bool(accelerator.reduce(torch.tensor(float(mine), device=accelerator.device)))
    return run_first(accelerator, is_first, outcome.result if is_first else action)
