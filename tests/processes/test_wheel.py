"""The wheel in an environment of its own, started from an empty folder: nothing of the clone is in reach."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from benchmarks.world_size import digits
from tests.conftest import DATA_DIR, ROOT

pytestmark = pytest.mark.slow


def run(folder: Path, *command: object) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an environment with the wheel, that takes everything else from this one."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    run(folder, *pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT)
    run(folder, sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    python = folder / "venv" / "bin" / "python"
    run(folder, *pip, "--python", python, "install", "--no-deps", "--no-index", next(folder.glob("*.whl")))
    # Comes last on the path, and the .pth files in it, such as that of an editable install, are not read.
    (packages_of(python) / "others.pth").write_text(sysconfig.get_path("purelib"))
    return python


def packages_of(python: Path) -> Path:
    (folder,) = python.parent.parent.glob("lib/python*/site-packages")
    return folder


def test_wheel_trains_from_an_empty_folder(python: Path, tmp_path: Path) -> None:
    where = run(tmp_path, python, "-c", "import gan_dist; print(gan_dist.__file__)")
    assert Path(where).is_relative_to(packages_of(python))
    assert "accelerate launch -m gan_dist.train " in run(tmp_path, python, "-m", "gan_dist")
    config = run(tmp_path, python, "-m", "gan_dist.accelerate_config", "cpu_2")
    assert Path(config).is_relative_to(packages_of(python))

    launch = [python, "-m", "accelerate.commands.launch", "--config_file", config, "-m", "gan_dist.train"]
    options = ["--max-steps", 4, "--eval-images", 20, "--tracker", "none", *digits(str(DATA_DIR))]
    run(tmp_path, *launch, *options)  # the default recipe, evaluated at its end
    assert [file.name for file in tmp_path.iterdir()] == ["runs"]
    (made,) = (tmp_path / "runs").iterdir()
    names = {"config.yaml", "metrics.jsonl", "samples.gif", "curves.png", "img", "best", "checkpoints"}
    assert {file.name for file in made.glob("[!.]*")} == names | {"generator", "discriminator"}
    assert (made / "checkpoints" / "step_00000004" / "state.json").is_file()
    run(tmp_path, python, "-m", "gan_dist.generate", made, "--out", "digits.png")
    assert (tmp_path / "digits.png").stat().st_size > 1000


def test_wheel_has_every_file_and_no_other(python: Path) -> None:
    tracked = run(ROOT, "git", "ls-files", "-co", "--exclude-standard", "gan_dist", "accelerate_configs").splitlines()
    expected = {name.replace("accelerate_configs/", "gan_dist/accelerate_configs/") for name in tracked}
    files = [file for file in packages_of(python).rglob("*") if file.is_file() and file.suffix != ".pyc"]
    found = {str(file.relative_to(packages_of(python))) for file in files if "dist-info" not in file.parent.name}
    assert expected == found - {"others.pth"} - {name for name in found if ".dist-info/" in name}
