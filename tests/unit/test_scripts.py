"""shellcheck finds nothing in any shell script."""

import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT, tool

SCRIPTS = [ROOT / ".ci" / "run", *sorted(ROOT.glob("*.sh")), *sorted(ROOT.glob("[!.]*/**/*.sh"))]
SCRIPTS += sorted(ROOT.glob("cloud/*.sbatch"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: str(script.relative_to(ROOT)))
def test_shellcheck(script: Path) -> None:
    command = [tool("shellcheck"), "--external-sources", "--source-path", ROOT, script]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
