"""The GPUs that torch can compute on: `python -m gan_dist.distributed.gpus` says how many, or what is wrong."""

import os
import re
import shutil
import subprocess
import sys

import torch

from gan_dist.errors import UserError, exit_code

ON_CPU = "to train on the CPU all the same: CUDA_VISIBLE_DEVICES= ./launch.sh"


def count() -> int:
    """Number of usable GPUs; 0 on a machine that has none, or where CUDA_VISIBLE_DEVICES hides them.

    Raises UserError if there are some that torch cannot use.
    """
    if not torch.cuda.is_available():
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "all").split(",")[0] in ("", "-1")
        if not hidden and shutil.which("nvidia-smi"):
            raise UserError(f"no GPU that torch sees: {_driver_problem()}; {ON_CPU}")
        return 0
    number = torch.cuda.device_count()
    problems = {index: problem for index in range(number) if (problem := _problem(index))}
    if problems:
        names = (os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(number)))).split(",")
        sound = [name for index, name in enumerate(names) if index not in problems]
        remedy = f"or leave it out: CUDA_VISIBLE_DEVICES={','.join(sound)} ./launch.sh" if sound else ON_CPU
        raise UserError(f"{next(iter(problems.values()))}; {remedy}")
    return number


def check(index: int) -> None:
    """Compute one number on this GPU, which becomes the current one. Raises UserError if torch cannot."""
    torch.cuda.set_device(index)
    if problem := _problem(index):
        raise UserError(problem)


def compute(device: str) -> str | None:
    """Compute one number there -> what torch says if it cannot, in one line."""
    try:
        (torch.ones(1, device=device) + 1).item()
    except RuntimeError as error:
        return str(error).splitlines()[0]
    return None


def _problem(index: int) -> str | None:
    if not (words := compute(f"cuda:{index}")):
        return None
    capability = "{}.{}".format(*torch.cuda.get_device_capability(index))
    return (
        f"GPU {index}, {torch.cuda.get_device_name(index)}, of compute capability {capability}: {words}; "
        f"torch {torch.__version__} is built for {' '.join(torch.cuda.get_arch_list())}: if that leaves this GPU out, "
        "install a torch that is built for it, often an older one"
    )


def _driver_problem() -> str:
    """Why torch sees none of the GPUs that this machine seems to have."""
    query = subprocess.run(
        ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"], capture_output=True, text=True
    )
    first_line = (query.stdout + query.stderr).partition("\n")[0]
    if query.returncode:
        return f"nvidia-smi fails ({first_line}); install or load the driver, often a reboot does it"
    if not torch.version.cuda:
        return f"torch {torch.__version__} is a build for the CPU; install one with CUDA"
    table = subprocess.run(["nvidia-smi"], capture_output=True, text=True).stdout
    found = re.search(r"CUDA[A-Z ]* Version: *([0-9.]+)", table)
    words = f"driver {first_line} (up to CUDA {found[1] if found else '?'}) does not serve torch {torch.__version__}"
    words += f" (CUDA {torch.version.cuda})"
    if found and int(found[1].split(".")[0]) < int(torch.version.cuda.split(".")[0]):
        newest = found[1].split(".")[0]
        return f"{words}: the driver is too old; update it, or install a torch built for CUDA {newest}"
    return f"{words}; `{sys.executable} -c 'import torch; torch.zeros(1).cuda()'` says why"


def main() -> int:
    print(count())
    return 0


if __name__ == "__main__":
    sys.exit(exit_code(main))
