"""Networks of somebody's own: what they may be, what they must do, and that their code runs only if it is asked for."""

from pathlib import Path

import pytest
import torch

import gan_dist
from benchmarks.world_size import largest_difference
from gan_dist.errors import UserError
from tests.conftest import ROOT, TRAIN, train, train_alone
from tests.harness import forked
from tests.harness.pair import D_END, D_LAYER, PAIR, write

NETWORKS = ROOT / "tests" / "networks"


def test_errors_come_before_anything_is_made(data_args: list[str], tmp_path: Path) -> None:
    file = write(tmp_path, PAIR.replace(D_END, f"{D_END}.sigmoid()"))
    for args, words in (
        (["--model", file], "ends in a Sigmoid"),
        (["--model", tmp_path / "gone.py"], "no such pair; take conv, dcgan, linear, a FILE.py or a PACKAGE.MODULE"),
        (["--model-args", "hidden"], "--model-args hidden: must be NAME=VALUE"),
        (["--model-args", "hidden=["], "--model-args hidden=[: the value must be a number, a word or a list"),
        (["--model-args", "hidden=2026-01-01"], "hidden=2026-01-01: the value must be a number, a word or a list"),
        (["--model-args", "hiden=5"], "--model-args hiden: no constructor in --model linear takes it"),
    ):
        done = train_alone(*data_args, *args, "--run-dir", tmp_path / "run")
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert words in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dcgan", "norms", "mixture"])
def test_number_of_processes_does_not_matter(name: str, data_args: list[str], tmp_path: Path) -> None:
    args = ["--model", NETWORKS / f"{name}.py", "--batch-size", 8, "--dtype", "float64", "--max-steps", 10, *data_args]
    args += ["--sample-every", 4]
    one, two = (train(n, tmp_path / str(n), *args) for n in (1, 2))
    assert largest_difference(one, two) < 1e-10
    generator = gan_dist.load_generator(one, model=one / "model.py")
    assert generator(torch.randn(3, int(generator.latent_dim))).shape == (3, 1, 28, 28)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_layer_that_processes_do_not_share_is_told(data_args: list[str], tmp_path: Path) -> None:
    """Beside one that they share."""
    layers = "nn.Sequential(nn.Linear(784, 4), nn.BatchNorm1d(4), nn.Linear(4, 4), Local(4), nn.Linear(4, 1))"
    local = """
class Local(nn.BatchNorm1d):
    def forward(self, x):
        return torch.nn.functional.batch_norm(x, None, None, training=True) * self.weight + self.bias
"""
    file = write(tmp_path, PAIR.replace(D_LAYER, layers) + local)
    args = ["--model", file, "--batch-size", 8, "--max-steps", 1, "--run-dir", tmp_path / "run", *data_args]
    done = forked.run(TRAIN, *args, folder=ROOT, num_processes=2)
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if line.startswith("warning: ")]
    assert told == [
        "warning: Discriminator looks across its batch, of which each process has a part: its results depend on the "
        "number of processes"
    ]


@pytest.mark.slow
@pytest.mark.parametrize("num_processes", [1, 2])
def test_dropout_resumes_exactly(num_processes: int, data_args: list[str], tmp_path: Path) -> None:
    args = ["--model", NETWORKS / "mixture.py", "--model-args", "dropout=0.5", "--batch-size", 8, *data_args]
    whole = train(num_processes, tmp_path / "whole", *args, "--max-steps", 6)
    train(num_processes, tmp_path / "run", *args, "--max-steps", 3)
    assert largest_difference(whole, train(num_processes, tmp_path / "run", *args, "--max-steps", 6)) == 0
    without = train(num_processes, tmp_path / "without", *args, "--max-steps", 6, "--model-args", "dropout=0")
    assert largest_difference(whole, without) > 0


@pytest.mark.slow
def test_first_weights_come_from_the_seed_alone(data_args: list[str], tmp_path: Path) -> None:
    text = PAIR.replace(
        D_LAYER,
        f"{D_LAYER}; import numpy, random; self.layer.bias.data.fill_(numpy.random.rand() + random.random())",
    )
    args = ["--model", write(tmp_path, text), "--max-steps", 1, *data_args]
    a, b = (train(1, tmp_path / name, *args) for name in "ab")
    assert largest_difference(a, b) == 0


def test_code_runs_only_if_it_is_named(data_args: list[str], tmp_path: Path) -> None:
    """And a file that has changed is said, one that has moved is the same."""
    file, run = write(tmp_path), tmp_path / "run"
    train(1, run, "--model", file, "--max-steps", 2, *data_args)
    assert (run / "model.py").read_text() == PAIR
    card = (run / "generator" / "README.md").read_text()
    assert 'load_generator(folder, model="mine.py")' in card
    assert str(tmp_path) not in card
    for place in (run, run / "checkpoints" / "step_00000002", run / "generator"):
        with pytest.raises(UserError, match=f"made by --model {file}, which is no part of gan_dist; name that code"):
            gan_dist.load_generator(place)
        generator = gan_dist.load_generator(place, model=run / "model.py")
        assert generator(torch.zeros(1, 100)).shape == (1, 1, 28, 28)
    write(tmp_path, f"{PAIR}\n# another\n")
    words = "-m", "gan_dist.generate", run, "--model", file, "--out", tmp_path / "x.png"
    done = forked.run(*words, folder=ROOT)
    assert (done.returncode, done.stderr) == (0, f"warning: {file} is not what it was when these weights were made\n")
    done = train_alone("--model", file, "--max-steps", 3, *data_args, "--run-dir", run)
    assert done.returncode == 0
    assert f"warning: the file of --model {file} is not what it was at " in done.stderr
    (tmp_path / "elsewhere").mkdir()
    moved = file.rename(tmp_path / "elsewhere" / file.name)
    done = train_alone("--model", moved, "--max-steps", 4, *data_args, "--run-dir", run)
    assert (done.returncode, done.stderr) == (0, f"going on from {run}/checkpoints/step_00000003\n")


def test_module_of_a_package(data_args: list[str], tmp_path: Path) -> None:
    """From the folder that one works in; it may import its neighbours."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").touch()
    (tmp_path / "mine" / "layers.py").write_text("from torch import nn")
    (tmp_path / "mine" / "nets.py").write_text(PAIR.replace("from torch import nn", "from mine.layers import nn"))
    done = forked.run(TRAIN, "--model", "mine.nets", "--max-steps", 1, *data_args, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    (run,) = (tmp_path / "runs").iterdir()
    assert (run / "generator" / "model.safetensors").exists()
