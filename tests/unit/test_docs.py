"""What the documents name exists: files, headings, options; their commands can be parsed and their Python runs."""

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.commands.launch import launch_command_parser

import gan_dist
from gan_dist.config.options import Config
from gan_dist.config.resolve import parse
from tests.conftest import ROOT, train_alone

DOCS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
EXTERNAL = {"--gpus", "--ipc", "--user", "--include-online", "--project", "--logdir", "--signal", "--gpus-per-node"}
EXTERNAL |= {"--no-deps", "--local-dir"}
EXAMPLES = {"gan_dist/models/shallow.py"}  # files that a reader is told to make
FILE = re.compile(r"(?:[\w-]+/)+[\w*-]+\.(?:py|sh|md|yaml|sbatch|toml|png)\b|(?<![\w/.*])test_\w+\.py")


def no_code(text: str) -> str:
    return re.sub(r"```.*?```", "", text, flags=re.S)


def blocks(language: str) -> list[str]:
    return [block for doc in DOCS for block in re.findall(rf"```{language}\n(.*?)```", doc.read_text(), re.S)]


def anchors(doc: Path) -> set[str]:
    """The names that GitHub gives to headings."""
    headings = re.findall(r"^#+ (.*)$", no_code(doc.read_text()), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("doc", DOCS, ids=lambda doc: doc.name)
def test_links_lead_somewhere(doc: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", no_code(doc.read_text())):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = (doc.parent / name).resolve() if name else doc
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


@pytest.mark.parametrize("doc", DOCS, ids=lambda doc: doc.name)
def test_files_exist(doc: Path) -> None:
    text = re.sub(r"https?://\S+", "", doc.read_text())
    own = {path.name for path in ROOT.iterdir()} | {path.name for path in (ROOT / "gan_dist").iterdir()}
    for name in set(FILE.findall(text)) - EXAMPLES:
        if name.split("/")[0] in own or name.startswith("test_"):
            places = (ROOT, ROOT / "gan_dist", ROOT / "tests", doc.parent)
            assert any(list(place.glob(name)) for place in places), name


def test_options_exist() -> None:
    words = Config().to_dict().keys() | {"run-dir", "resume", "print-config", "help"}
    ours = {f"--{word}" for word in words}
    for file in (
        file for pattern in ["gan_dist/*.py", "benchmarks/*.py", "examples/*.py", "*.sh"] for file in ROOT.glob(pattern)
    ):
        ours |= set(re.findall(r"""["' ](--[a-z][\w-]*)""", file.read_text()))
    launchers = set(launch_command_parser()._option_string_actions)
    for doc in DOCS:
        for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", doc.read_text()):
            assert option in ours | launchers | EXTERNAL, f"{doc.name}: {option}"


def test_every_option_has_a_description() -> None:
    text = re.sub(r"[│╭╰─\s]+", " ", train_alone("--help").stdout)
    for option in (*Config().to_dict(), "run-dir", "resume"):
        found = re.search(rf" --{option}\b(.*?)\(default: ", text)
        assert found, option
        assert len(re.findall(r"\b[a-z]+\b", found[1])) > 3, option


def test_accelerate_launch_lines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "pictures").mkdir()  # what a reader has
    text = "\n".join(blocks("sh")).replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.startswith("accelerate launch")]
    assert lines
    for line in lines:
        line = re.sub(r"\$\(python -m gan_dist.accelerate_config (\w+)\)", r"accelerate_configs/\1.yaml", line)
        options = launch_command_parser().parse_args(shlex.split(line, comments=True)[2:])
        script = options.training_script
        assert (ROOT / (f"{script.replace('.', '/')}.py" if options.module else script)).is_file(), line
        assert not options.config_file or (ROOT / options.config_file).is_file(), line
        if "train" in script and "--model" not in line:  # which may be a file that a reader is told to make
            parse(options.training_script_args)


@pytest.mark.seconds
def test_load_generator(run_200: Path) -> None:
    (code,) = (block for block in blocks("python") if 'load_generator("runs/NAME")' in block)
    names: dict[str, torch.Tensor] = {}
    exec(code.replace("runs/NAME", str(run_200)), names)
    assert names["images"].shape == (64, 1, 28, 28)
    assert names["images"].abs().max() <= 1


@pytest.mark.seconds
def test_drawing(run_200: Path) -> None:
    (code,) = (block for block in blocks("python") if "gan_dist.Drawing(" in block)
    names: dict[str, Any] = {}
    exec(code.replace("runs/NAME", str(run_200)), names)
    assert (names["images"].shape, names["images"].dtype, names["labels"]) == ((64, 28, 28, 1), np.uint8, None)


def test_batches_of_pure_functions() -> None:
    (code,) = (block for block in blocks("python") if "def batch(" in block)
    names: dict[str, Any] = {}
    exec(code, names)
    places = np.arange(100, dtype=np.uint8)  # as images of one pixel, of which Batches makes place / 127.5 - 1
    batches = gan_dist.Batches(places.reshape(100, 1, 1, 1), names["accelerator"], batch_size=8, latent_dim=16, seed=0)
    for step in (1, 13):
        ours, theirs = batches(step), names["batch"](step)
        chosen = ours.real.add(1).mul(127.5).round().long().flatten()
        assert torch.equal(names["images"][chosen], theirs.real)
        assert torch.equal(ours.noise, theirs.noise)


def test_load_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = (block for block in blocks("python") if "load_dataset" in block)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert "mnist-5k (5000, 3, 32, 32) ('0', '1', " in capsys.readouterr().out
