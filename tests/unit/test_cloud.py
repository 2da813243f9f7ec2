"""The files of cloud/, each through the checker of its own tool where there is one to be had, and their guide."""

import re
import subprocess

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gan_dist.config.resolve import parse
from tests.conftest import ROOT, tool

CLOUD = ROOT / "cloud"


def test_hadolint() -> None:
    done = subprocess.run([tool("hadolint"), str(CLOUD / "Dockerfile")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == ""


def test_every_requirement_is_pinned() -> None:
    """In cloud/requirements.txt, to one version that pyproject.toml allows."""
    (block,) = re.findall(r"^dependencies = \[(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.S | re.M)
    lines = (CLOUD / "requirements.txt").read_text().splitlines()
    needed, pinned = (
        {canonicalize_name(requirement.name): requirement.specifier for requirement in map(Requirement, words)}
        for words in (re.findall(r'"(.+?)"', block), [line for line in lines if not line.startswith("#")])
    )
    assert needed.keys() == pinned.keys()
    for name, specifier in needed.items():
        (pin,) = pinned[name]
        assert pin.operator == "=="
        assert specifier.contains(pin.version), name


def test_what_the_image_copies_exists() -> None:
    words = [line.split() for line in (CLOUD / "Dockerfile").read_text().splitlines() if line.startswith("COPY ")]
    for source in (source for line in words for source in line[1:-1]):
        assert (ROOT / source).exists(), source
        assert f"!{source}" in (ROOT / ".dockerignore").read_text().splitlines()


def test_skypilot_accepts_the_task() -> None:
    sky = pytest.importorskip("sky", reason="needs SkyPilot: pip install skypilot")
    task = sky.Task.from_yaml(str(CLOUD / "sky.yaml"))
    assert all(resources.use_spot for resources in task.resources)


def test_skypilot_runs_options_that_exist() -> None:
    task = yaml.safe_load((CLOUD / "sky.yaml").read_text())
    script, *options = task["run"].replace('"', "").split()
    assert (ROOT / script).is_file()
    assert parse(options).run.run_dir == "/bucket/$RUN"
    assert list(task["file_mounts"]) == ["/bucket"]


def test_ten_lines_to_a_dashboard() -> None:
    (block,) = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "gpu-box.md").read_text(), re.S)
    lines = block.splitlines()
    assert len(lines) == 10
    (start,) = (line for line in lines if line.startswith("./launch.sh --background"))
    assert parse(start.split()[2:]).run.run_dir == "runs/first"
