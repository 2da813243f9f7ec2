"""Safetensors files: every type of tensor that torch can compute with and they can hold, bit for bit."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

# safetensors has this table, too, but not in public.
TYPES = {
    torch.bool: "BOOL",
    torch.uint8: "U8",
    torch.uint16: "U16",
    torch.uint32: "U32",
    torch.uint64: "U64",
    torch.int8: "I8",
    torch.int16: "I16",
    torch.int32: "I32",
    torch.int64: "I64",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float32: "F32",
    torch.float64: "F64",
    torch.complex64: "C64",
}


def save(tensors: Mapping[str, Tensor], file: Path, metadata: dict[str, str] | None = None) -> None:
    """Write {name: tensor}; of memory that several names share, each gets a copy.

    Raises OSError, and TypeError for a type that the format does not have.
    """
    seen: set[int] = set()
    separate = {}
    for name, tensor in tensors.items():
        if tensor.dtype not in TYPES:
            raise TypeError(f"{name} is {tensor.dtype}, which safetensors files cannot hold")
        tensor = tensor.detach().cpu().contiguous()
        memory = tensor.untyped_storage().data_ptr()
        separate[name] = tensor.clone() if memory in seen else tensor
        seen.add(memory)
    try:
        save_file(separate, file, metadata)
        file.chmod(file.parent.stat().st_mode & 0o666)  # who may read the folder may read the file, too
    except SafetensorError as error:  # how safetensors tells of a full disk
        raise OSError(str(error)) from None


def unlike(file: Path, expected: Mapping[str, Tensor]) -> list[str]:
    """The names that the file or `expected` lacks, or whose types or shapes differ; none of its tensors is read.

    Raises OSError, SafetensorError.
    """
    with safe_open(file, "pt") as content:
        slices = {key: content.get_slice(key) for key in content.keys()}  # noqa: SIM118  # not a dict
        found = {key: (s.get_dtype(), tuple(s.get_shape())) for key, s in slices.items()}
    wanted = {key: (TYPES.get(t.dtype), tuple(t.shape)) for key, t in expected.items()}
    return sorted(key for key in found.keys() | wanted.keys() if found.get(key) != wanted.get(key))


@torch.no_grad()
def load_into(file: Path, tensors: Mapping[str, Tensor]) -> None:
    """Copy a file that is not `unlike` them into `tensors`, in place."""
    with safe_open(file, "pt") as content:
        for key, tensor in tensors.items():
            tensor.copy_(content.get_tensor(key))
