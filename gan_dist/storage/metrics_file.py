"""metrics.jsonl: one JSON object a line, whole lines only, even if the disk is full."""

import json
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class MetricsFile:
    """Appends rows. What a full disk refuses is kept and written with the next row.

    Rows come from the training thread, `sync` from the one that writes checkpoints.
    """

    def __init__(self, path: Path) -> None:
        """Raises OSError."""
        self._file = path.open("ab", buffering=0)
        self._pending = b""
        self._lock = threading.Lock()

    def append(self, row: Mapping[str, Any]) -> None:
        """Raises OSError."""
        with self._lock:
            self._pending += json.dumps(row).encode() + b"\n"
            self._write()

    def sync(self) -> None:
        """Bring all rows to the disk. Raises OSError."""
        with self._lock:
            self._write()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Raises OSError if rows are lost."""
        with self._lock, self._file:
            self._write()

    def _write(self) -> None:
        while self._pending:
            self._pending = self._pending[self._file.write(self._pending) :]


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The whole rows of a metrics.jsonl; [] if there is none. Raises OSError."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("}\n")]
