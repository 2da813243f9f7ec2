"""Memory that is freed stays with the process, to serve again."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
import numpy as np
import psutil
from gan_dist.training.memory import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()
before = psutil.Process().memory_info().rss
np.ones(2**25)  # 256 MB, freed at once
print(psutil.Process().memory_info().rss - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc is told")
def test_freed_memory_is_kept() -> None:
    left = {}
    for word in ("keep", "as it is"):
        done = subprocess.run([sys.executable, "-c", PROGRAM, word], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        left[word] = int(done.stdout)
    assert left["keep"] > 200e6
    assert left["as it is"] < 100e6
