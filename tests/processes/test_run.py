"""What a run leaves behind: folder, numbers, pictures, weights; how it ends early."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import gan_dist
from gan_dist import models
from gan_dist.config.resolve import parse
from gan_dist.data.order import Stream, normal
from gan_dist.errors import UserError
from gan_dist.storage.metrics_file import read_rows
from gan_dist.storage.run_folder import RunFolder, new_folder
from tests.conftest import ROOT, TRAIN, train_alone
from tests.harness import forked
from tests.harness.runs import last_step, start, start_launcher, wait_until


def test_run_folder(run_200: Path) -> None:
    files = {str(file.relative_to(run_200)) for file in run_200.rglob("*") if file.is_file()}
    checkpoint = {name for name in files if name.startswith("checkpoints/step_00000200/")}
    assert {Path(name).name for name in checkpoint} == {
        "state.json",
        "generator.safetensors",
        "discriminator.safetensors",
        "optimizer_g.safetensors",
        "optimizer_d.safetensors",
    }
    assert files - checkpoint == {
        ".id",
        ".job",
        ".lock",
        "config.yaml",
        "curves.png",
        "discriminator/README.md",
        "discriminator/config.json",
        "discriminator/model.safetensors",
        "generator/README.md",
        "generator/config.json",
        "generator/model.safetensors",
        "img/fake_00000000.png",
        "img/fake_00000100.png",
        "img/fake_00000200.png",
        "img/interpolation.png",
        "img/real.png",
        "metrics.jsonl",
        "samples.gif",
    }
    config = parse(["--recipe", str(run_200 / "config.yaml")])
    assert (config.run.recipe, config.run.max_steps, config.run.run_dir) == ("linear", 200, None)


def test_metrics(run_200: Path) -> None:
    table = read_rows(run_200 / "metrics.jsonl")
    assert [row["step"] for row in table] == [50, 100, 150, 200]
    for row in table:
        assert row["images_seen"] == 64 * row["step"]
        assert row["epoch"] == row["step"] * 64 // (60_000 if row["epoch"] == 0 else 4992)
        assert np.isfinite(list(row.values())).all()
        assert 0 <= row["accuracy_real"] <= 1
        assert 0 <= row["accuracy_fake"] <= 1
        assert row["images_per_second"] > 0
        # softplus is convex: the mean loss is at least the loss of the mean logit
        assert row["loss_d"] >= np.logaddexp(0, -row["logit_real"]) + np.logaddexp(0, row["logit_fake"]) - 1e-6
    assert len({row["loss_g"] for row in table}) == 4


def test_pictures_show_something(run_200: Path) -> None:
    """Ten images in a grid of 4 x 3 cells of 30 pixels; dark ground, bright strokes."""
    real = np.asarray(Image.open(run_200 / "img" / "real.png"))
    assert real.shape == (90, 120)
    assert real.max() > 250
    assert 15 < real[:60].mean() < 60  # MNIST's mean is 33; a border makes it a little less
    assert real[60:, 60:].max() == 0  # two cells stay empty
    fakes = [np.asarray(Image.open(file)).astype(float) for file in sorted((run_200 / "img").glob("fake_*"))]
    assert all(fake.std() > 5 for fake in fakes)
    assert abs(fakes[0] - fakes[2]).mean() > 5
    assert Image.open(run_200 / "curves.png").size == (960, 720)


def test_weights_load_everywhere(run_200: Path) -> None:
    generator = gan_dist.load_generator(run_200)
    assert not generator.training
    assert generator.latent_dim == 100
    with torch.no_grad():
        images = generator(normal(0, Stream.SAMPLE, [0], 5, 100)[0].float())
    assert images.shape == (5, 1, 28, 28)
    assert images.abs().max() <= 1
    same = models.load("linear").Generator.from_pretrained(run_200 / "generator")
    discriminator = models.load("linear").Discriminator.from_pretrained(run_200 / "discriminator")
    assert torch.equal(same(torch.ones(1, 100)), gan_dist.load_generator(run_200 / "generator")(torch.ones(1, 100)))
    assert discriminator(images).shape == (5,)
    with safe_open(run_200 / "discriminator" / "model.safetensors", "np") as weights:
        assert weights.get_tensor("layers.0.weight").shape == (256, 784)
        metadata = weights.metadata()
    assert metadata["recipe"] == "linear"
    assert metadata["seed"] == "0"
    assert metadata["step"] == "200"
    assert metadata["dataset"] in ("mnist", "mnist-5k")


def test_strange_weights_are_refused(run_200: Path, tmp_path: Path) -> None:
    content = (run_200 / "generator" / "model.safetensors").read_bytes()
    for wrong in (b"", content[:100], content[:-8], content.replace(b'"model":"linear"', b'"model":"errors"')):
        (tmp_path / "model.safetensors").write_bytes(wrong)
        (tmp_path / "config.json").write_bytes((run_200 / "generator" / "config.json").read_bytes())
        with pytest.raises(UserError, match=str(tmp_path)):
            gan_dist.load_generator(tmp_path)


@pytest.mark.parametrize(
    ("forge", "expected"),
    [
        (lambda t: {name: x for name, x in t.items() if name != "layers.0.bias"}, "Missing key.*layers.0.bias"),
        (lambda t: t | {"more": torch.zeros(1)}, "Unexpected key.*more"),
        (lambda t: {name.replace("layers.4", "layers.6"): x for name, x in t.items()}, "Missing key.*layers.4"),
        (lambda t: t | {"layers.0.bias": t["layers.0.bias"] * float("nan")}, "layers.0.bias is not finite"),
        (
            lambda t: t | {"layers.0.bias": torch.full((256,), 1e300, dtype=torch.float64)},
            "layers.0.bias is not finite",
        ),
        (lambda t: t | {"layers.0.bias": torch.zeros(255)}, "size mismatch for layers.0.bias"),
        (lambda t: t | {"layers.0.bias": torch.zeros(256).half()}, "layers.0.bias in torch.float16"),
        (lambda t: t | {"layers.0.bias": torch.zeros(256).long()}, "layers.0.bias in torch.int64"),
    ],
)
def test_weights_are_these_and_no_others(forge: Any, expected: str, run_200: Path, tmp_path: Path) -> None:
    file = Path(shutil.copytree(run_200 / "generator", tmp_path / "generator")) / "model.safetensors"
    save_file(forge(load_file(file)), file, {"model": "linear"})
    with pytest.raises(UserError, match=expected) as raised:
        gan_dist.load_generator(tmp_path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "content", [None, b"", b"[1]", b'{"latent', b"\xff", b'{"latent_dim": -1}', b'{"hidden": "x"}']
)
def test_damaged_config_of_a_network(content: bytes | None, run_200: Path, tmp_path: Path) -> None:
    """Of an early version, whose weights do not have the arguments of the constructor in their metadata."""
    file = Path(shutil.copytree(run_200 / "generator", tmp_path / "generator")) / "config.json"
    weights = file.with_name("model.safetensors")
    save_file(load_file(weights), weights, {"model": "linear"})
    assert gan_dist.load_generator(tmp_path).latent_dim == 100
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UserError, match=f"{tmp_path}: generator cannot be loaded") as raised:
        gan_dist.load_generator(tmp_path)
    assert "\n" not in str(raised.value)


@pytest.mark.slow
def test_one_sample_of_one_number_and_one_row(data_args: list[str], tmp_path: Path) -> None:
    """What is undefined is left out: a diversity of one image, a great circle in one dimension. And an interval may be
    longer than memory.
    """
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = tmp_path / "run"
    args = ["--num-samples", 1, "--latent-dim", 1, "--batch-size", 2, "--max-steps", 1100, "--log-every", 10**10]
    done = train_alone(*data_args[:-1], "tensorboard", *args, "--run-dir", run)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    (row,) = read_rows(run / "metrics.jsonl")
    assert row["step"] == 1100
    tags = EventAccumulator(str(run / "tensorboard")).Reload().Tags()
    assert "D/loss" in tags["scalars"]
    assert "samples/diversity" not in tags["scalars"]
    assert "D/logits_real" in tags["histograms"]
    ways = np.asarray(Image.open(run / "img" / "interpolation.png")).reshape(8, 30, 8, 30).max((1, 3))
    assert ways.min() > 0  # none is black


def test_two_runs_of_one_second_have_two_names(data_args: list[str], tmp_path: Path) -> None:
    """Here another job has taken the name of every second; it is empty still."""
    now = time.time()
    taken = {time.strftime("linear-%Y%m%d-%H%M%S", time.localtime(now + second)) for second in range(100)}
    for name in taken:
        (tmp_path / "runs" / name).mkdir(parents=True)
    done = forked.run(TRAIN, *data_args, "--max-steps", 1, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    (name,) = {folder.name for folder in (tmp_path / "runs").iterdir()} - taken
    assert name.removesuffix("-2") in taken
    assert (tmp_path / "runs" / name / "generator").exists()


def test_restarted_job_finds_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")  # as if this process had a launcher for a parent
    assert new_folder("linear") == Path("runs/linear")
    own = new_folder("linear")
    assert own == Path("runs/linear-2")
    RunFolder(own).begin("")
    assert new_folder("linear") == Path("runs/linear-3")
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert new_folder("linear") == own
    RunFolder(own).enter(check=lambda record: None, must_be_new=True)
    (own / ".job").write_text("another")
    assert new_folder("linear") == Path("runs/linear-4")
    with pytest.raises(UserError, match="--resume never"):
        RunFolder(own).enter(check=lambda record: None, must_be_new=True)


@pytest.mark.slow
def test_git_commit_is_of_this_code(tmp_path: Path) -> None:
    """None of a repository around the environment that this package is installed in."""
    package = tmp_path / "environment" / "gan_dist"
    shutil.copytree(ROOT / "gan_dist", package)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", "-C", str(tmp_path)]
    code = "from gan_dist.training.describe import _git_commit; print(_git_commit())"
    command, environment = [sys.executable, "-c", code], os.environ | {"PYTHONPATH": str(package.parent)}
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "theirs"]):
        subprocess.run([*git, *words], check=True)
    found = []
    for words in (["add", "-A"], ["commit", "-q", "-m", "with the package"], ["rev-parse", "HEAD"]):
        found.append(subprocess.check_output(command, cwd=tmp_path, env=environment, text=True))
        head = subprocess.check_output([*git, *words], text=True)
    assert found == ["None\n", "None\n", head]


def test_start_imports_no_compiler(data_args: list[str], tmp_path: Path) -> None:
    """Nor what places networks that are in pieces: each takes half a second to two."""
    slow = {"torch._dynamo", "torch.distributed.tensor", "sympy"}
    program = f"import sys; from gan_dist.train import main; print(main(), {slow} & sys.modules.keys())"
    args = [*data_args, "--max-steps", "2", "--run-dir", str(tmp_path / "run")]
    done = subprocess.run([sys.executable, "-c", program, *args], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "0 set()", done.stderr


def test_infinity_stops_and_saves_nothing(data_args: list[str], tmp_path: Path) -> None:
    args = [*data_args, "--lr-g", "1e38", "--lr-d", "1e38", "--run-dir", tmp_path / "run", "--max-steps", 300]
    done = train_alone(*args)
    assert done.returncode == 1
    assert done.stderr.startswith("error: Not finite: step "), done.stderr
    assert int(done.stderr.split()[4].strip(":")) < 20  # the step where it happened, not the log step
    assert "loss_" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run" / "generator").exists()
    assert read_rows(tmp_path / "run" / "metrics.jsonl")[-1]["not_finite"] == 1


@pytest.mark.parametrize("num_processes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_ctrl_c_saves_and_ends(num_processes: int, data_args: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    args = [*data_args, "--log-every", 10, "--run-dir", folder]
    process = start(*args) if num_processes == 1 else start_launcher(2, *args)
    wait_until(lambda: last_step(folder), process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    words, _ = process.communicate(timeout=60)
    if num_processes == 1:
        assert process.returncode == 130
        assert "Traceback" not in words
    with safe_open(folder / "generator" / "model.safetensors", "np") as weights:
        step = int(weights.metadata()["step"])
    assert step >= last_step(folder) >= 10
    assert gan_dist.load_generator(folder)(torch.zeros(1, 100)).isfinite().all()
    assert (folder / "curves.png").exists()
