"""Pictures in tables, as Hugging Face's `datasets` keeps them: .parquet files, or a folder of `save_to_disk`."""

import io
import json
import threading
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gan_dist.data.folder import SIZE
from gan_dist.data.mnist import MissingError
from gan_dist.data.pictures import Pictures, Source, opened
from gan_dist.errors import UserError, reason

LABELS = ("label", "labels")


class _Block(NamedTuple):
    """Some rows of a table. read: a column's name -> its values."""

    num: int
    schema: Any
    read: Callable[[str], Any]


def is_here(path: Path) -> bool:
    """Whether a path is one of such tables."""
    return bool(_tables(path, "train"))


def source(path: Path, split: str) -> Source:
    """The pictures of a split; without splits all are for training. Raises UserError and MissingError."""
    files = _tables(path, split)
    if not files:
        raise MissingError(f"--dataset {path}: has no {split} images")
    states = [f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files]
    return Source(f"tables {states}", partial(_find, path, files))


def _tables(path: Path, split: str) -> list[Path]:
    """The files of a split: in a folder of its name, or with names that begin with it."""
    if path.is_file():
        return [path] if path.suffix.lower() == ".parquet" and split == "train" else []
    if (path / "dataset_dict.json").exists():
        path = path / split
    files = sorted([*path.glob("*.arrow"), *path.glob("*.parquet"), *path.glob("data/*.parquet")])
    if any(file.name.startswith("train") for file in files):
        return [file for file in files if file.name.startswith(split)]
    return files if split == "train" or path.name == split else []


def _find(path: Path, files: list[Path]) -> Pictures:
    try:
        import pyarrow
    except ModuleNotFoundError:
        raise UserError(f"--dataset {path}: needs pyarrow; pip install pyarrow") from None
    try:
        blocks = [block for file in files for block in (_of_arrow if file.suffix == ".arrow" else _of_parquet)(file)]
        column = _column_of_pictures(blocks[0].schema)
        labels, class_names = _labels(blocks)
    except (OSError, pyarrow.ArrowException, IndexError) as error:
        raise UserError(f"--dataset {path}: cannot be read ({reason(error)}); name sound tables") from None
    if column is None:
        raise UserError(f"--dataset {path}: has no column of pictures; one must hold the bytes of PNG or JPEG files")
    starts = np.cumsum([0, *(block.num for block in blocks)])
    lock = threading.Lock()
    values = lru_cache(maxsize=2)(lambda block: blocks[block].read(column))  # rows are read in their order

    def read(number: int) -> Image.Image:
        block = int(np.searchsorted(starts, number, side="right")) - 1
        with lock:
            value = values(block)[number - int(starts[block])].as_py()
        content = value["bytes"] if isinstance(value, dict) else value
        if content is None:
            raise ValueError("is not in the table")
        return opened(io.BytesIO(content))

    return Pictures(int(starts[-1]), read, "row {}".format, SIZE, labels, class_names)


def _of_arrow(file: Path) -> list[_Block]:
    import pyarrow

    table = pyarrow.ipc.open_stream(pyarrow.memory_map(str(file))).read_all()
    return [_Block(table.num_rows, table.schema, table.column)]


def _of_parquet(file: Path) -> list[_Block]:
    from pyarrow.parquet import ParquetFile

    table = ParquetFile(file)

    def block(number: int) -> _Block:
        rows = table.metadata.row_group(number).num_rows
        return _Block(rows, table.schema_arrow, lambda name: table.read_row_group(number, columns=[name]).column(name))

    return [block(number) for number in range(table.num_row_groups)]


def _column_of_pictures(schema: Any) -> str | None:
    """`image` or the first column that holds bytes, bare or beside a path."""
    from pyarrow import types

    def holds_bytes(kind: Any) -> bool:
        if types.is_struct(kind):
            return kind.get_field_index("bytes") >= 0
        return types.is_binary(kind) or types.is_large_binary(kind)

    names = [field.name for field in schema if holds_bytes(field.type)]
    return "image" if "image" in names else next(iter(names), None)


def _labels(blocks: list[_Block]) -> tuple[NDArray[np.int64] | None, tuple[str, ...]]:
    """Labels of all rows, with the names that `datasets` has written beside them, or else their numbers."""
    from pyarrow import types

    schema = blocks[0].schema
    name = next((field.name for field in schema if field.name in LABELS and types.is_integer(field.type)), None)
    if name is None:
        return None, ()
    values = np.concatenate([np.asarray(block.read(name).to_numpy()) for block in blocks])
    numbers, labels = np.unique(values, return_inverse=True)
    features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}")).get("info", {}).get("features", {})
    names = features.get(name, {}).get("names") or {}
    return labels.astype(np.int64), tuple(names[x] if 0 <= x < len(names) else str(x) for x in numbers.tolist())
