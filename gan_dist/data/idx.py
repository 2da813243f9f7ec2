"""Files in MNIST's format, IDX: verified, unpacked as a whole or not at all, memory-mapped."""

import errno
import gzip
import hashlib
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gan_dist import atomic
from gan_dist.data.sources import KnownFile
from gan_dist.errors import UserError


def header(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The first bytes: magic number 0x0800 + dimensions, then the shape, all as big-endian 32-bit numbers."""
    return np.array([0x800 + len(shape), *shape], dtype=">u4").view(np.uint8)


def flaw(content: NDArray[np.uint8], known: KnownFile, sha256: str | None) -> str | None:
    """What tells `content` from the file that is known, most telling first; None if nothing does."""
    size_of_header = len(header(known.shape))
    found = tuple(content[:size_of_header].view(">u4").tolist()) if content.size >= size_of_header else ()
    expected = (0x800 + len(known.shape), *known.shape)
    if found != expected:
        return f"its header is {found}, not {expected}"
    size = size_of_header + int(np.prod(known.shape))
    if content.size != size:
        return f"it has {content.size} bytes, not {size}"
    if sha256 and hashlib.sha256(content.data).hexdigest() != sha256:
        return f"its SHA-256 is not {sha256[:16]}..."
    return None


def refuse_if(flaw: str | None, file: Path) -> None:
    """Raises UserError for a file with a flaw."""
    if flaw:
        raise UserError(f"{file} is damaged or another data set: {flaw}; delete it to have it made anew")


def read(file: Path) -> NDArray[np.uint8]:
    """The bytes of a file; all processes of a machine share one copy in the page cache."""
    if file.stat().st_size == 0:  # cannot be mapped
        return np.empty(0, dtype=np.uint8)
    return np.asarray(np.memmap(file, dtype=np.uint8, mode="r"))


def array(file: Path, known: KnownFile) -> NDArray[np.uint8]:
    """The array of a verified file, memory-mapped and read-only, in its shape."""
    return read(file)[len(header(known.shape)) :].reshape(known.shape)


def unpack(packed: Path, known: KnownFile) -> NDArray[np.uint8]:
    """The bytes in a .gz, which is verified if its checksum is known. Raises UserError."""
    try:
        data = packed.read_bytes()
        if known.sha256_gz and hashlib.sha256(data).hexdigest() != known.sha256_gz:
            refuse_if(f"its SHA-256 is not {known.sha256_gz[:16]}...", packed)
        return np.frombuffer(gzip.decompress(data), dtype=np.uint8)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{packed} cannot be unpacked ({error}); delete it to have it made anew") from None


def write_first_possible(places: list[Path], content: NDArray[np.uint8]) -> Path:
    """Write `content` as a whole or not at all, at the first of `places` that can be written. Raises UserError."""
    for file in places:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            if not file.parent.stat().st_mode & 0o222:  # holds for root too, whom the system would let write
                raise PermissionError(errno.EACCES, "read-only")
            atomic.write_file(file, content.data)
            return file
        except OSError as error:
            reason = error.strerror
    folders = " or ".join(str(file.parent) for file in places)
    raise UserError(f"--data-dir: cannot write to {folders} ({reason}); name another")
