"""The list of commands, and what their --help says of how they are started."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gan_dist.invocation import COMMANDS
from tests.conftest import ROOT


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


def test_the_list_is_that_of_the_readme() -> None:
    done = run(ROOT, "gan_dist")
    assert (done.returncode, done.stderr) == (0, "")
    listed = dict(re.split(r"  +", line) for line in done.stdout.splitlines()[:-1])
    rows = dict(re.findall(r"^\| `([^`]*)` \| (.*) \|$", (ROOT / "README.md").read_text(), re.M))
    assert listed == {command: meaning for command, meaning in rows.items() if "gan_dist" in command}
    assert len(listed) == len(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_how_it_is_started_here(name: str, tmp_path: Path) -> None:
    for folder, train in ((ROOT, "gan_dist/train.py"), (tmp_path, "-m gan_dist.train")):
        done = run(folder, f"gan_dist.{name}", "--help")
        assert (done.returncode, done.stderr) == (0, "")
        start = f"accelerate launch {train}" if name == "train" else f"python -m gan_dist.{name}"
        assert done.stdout.startswith(f"usage: {start} ")
        assert COMMANDS[name] in " ".join(done.stdout.split())
        assert f"{start} " in run(folder, "gan_dist").stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["gan_dist", "nonsense"], "nonsense: no such command; python -m gan_dist lists them"),
        (["gan_dist", "generate", "--num", "3"], "generate: start it with python -m gan_dist.generate"),
        (["gan_dist.accelerate_config", "gpu"], "gpu: no such config; take one of cpu_1, cpu_2, gpu_1, "),
    ],
)
def test_nonsense_is_one_line(words: list[str], expected: str) -> None:
    done = run(ROOT, *words)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"error: {expected}")


def test_configs_are_listed() -> None:
    lines = run(ROOT, "gan_dist.accelerate_config").stdout.splitlines()
    files = sorted((ROOT / "accelerate_configs").glob("*.yaml"))
    assert [line.split()[0] for line in lines] == [file.stem for file in files]
    assert all(len(line.split()) > 4 for line in lines)
    assert run(ROOT, "gan_dist.accelerate_config", "cpu_2").stdout == f"{ROOT}/accelerate_configs/cpu_2.yaml\n"
