"""Settings of torch's arithmetic; memory and utilization of the device."""

import contextlib
import os
import resource
import sys

import torch


def set_up(matmul_precision: str, deterministic: bool) -> None:
    """Set torch's precision of float32 products (highest, high or medium), and whether only deterministic algorithms
    are used.

    Call it after Accelerate has made its state: that allows TF32 silently where its config compiles.
    """
    torch.set_float32_matmul_precision(matmul_precision)
    torch.backends.cudnn.allow_tf32 = matmul_precision != "highest"  # convolutions, where torch's default is TF32
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it at its first product
        torch.use_deterministic_algorithms(True)
        # This finds bugs, at a price, and changes no result.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def readings(device: torch.device) -> dict[str, float]:
    """{metric: value} of this process on its device: peak memory in GB (10**9 bytes) and, where the driver tells, the
    percentage of the last second or less (NVML's period) that its GPU was busy.
    """
    if device.type != "cuda":
        unit = 1 if sys.platform == "darwin" else 1024
        return {"peak_memory_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9}
    numbers = {"peak_memory_gb": torch.cuda.max_memory_allocated(device) / 1e9}
    # Parts of a GPU and some containers do not tell; AMD's library may not be installed. None of it is worth a run.
    with contextlib.suppress(Exception):
        numbers["gpu_utilization"] = float(torch.cuda.utilization(device))
    return numbers
