"""train.py on the CPU of a machine whose accelerator has no `current_device`, as MPS on a Mac has none."""

import sys
from types import ModuleType

import torch

from gan_dist.train import main

if __name__ == "__main__":
    torch.utils.rename_privateuse1_backend("strange")
    module = ModuleType("strange")
    module.is_available = lambda: True  # type: ignore[attr-defined]
    torch._register_device_module("strange", module)
    sys.exit(main())
