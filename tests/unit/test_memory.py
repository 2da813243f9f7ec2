"""Memory that is freed serves again, as counted by the system."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource
import sys
import numpy as np
from gan_dist.training.memory import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()
for _ in range(20):
    np.ones(2**23)  # 64 MB, freed at once
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc is told")
def test_freed_memory_is_kept() -> None:
    faults = {}
    for word in ("keep", "as it is"):
        done = subprocess.run([sys.executable, "-c", PROGRAM, word], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        faults[word] = int(done.stdout)
    assert faults["keep"] < faults["as it is"] / 2
