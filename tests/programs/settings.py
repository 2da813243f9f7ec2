"""What train.py's options have told torch, as json."""

import json
import os
import sys

import torch

from gan_dist.config.resolve import parse
from gan_dist.training.trainer import Trainer

if __name__ == "__main__":
    torch.backends.cuda.matmul.allow_tf32 = True  # as Accelerate does where its config compiles
    Trainer(parse(sys.argv[1:]))
    told = {
        "products": torch.get_float32_matmul_precision(),
        "convolutions in TF32": torch.backends.cudnn.allow_tf32,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "cuBLAS": os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
    }
    print(json.dumps(told))
