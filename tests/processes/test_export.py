"""The command `export`: a generator as an ONNX file that draws the same images, and says nothing of this machine."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from gan_dist import export, models
from gan_dist.errors import UserError
from gan_dist.storage import onnx_file
from gan_dist.storage.weights import load_generator, save_weights
from tests.conftest import ROOT
from tests.harness import forked
from tests.harness.pair import PAIR, write

G_END = "return self.layer(noise).tanh().view(-1, 1, 28, 28)"
DOCS = (ROOT / "docs" / "sharing.md").read_text()


def run(*args: object, folder: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {"PYTHONPATH": str(ROOT)} | environment
    return forked.run("-m", "gan_dist.export", *args, folder=folder, afresh=bool(environment), environment=variables)


def save(folder: Path, model: str, **arguments: Any) -> Path:
    """Weights of a generator whose BatchNorm has seen images, as a run far away would have saved them."""
    given: dict[str, Any] = {"latent_dim": 16, "image_shape": (1, 28, 28), "num_classes": 0} | arguments
    torch.manual_seed(0)
    generator = models.build(models.load(model).Generator, given)
    labels = (torch.arange(32) % given["num_classes"],) if given["num_classes"] else ()
    for _ in range(3):
        generator(torch.randn(32, given["latent_dim"]), *labels)
    metadata = {"model": model, "arguments": json.dumps(given), "clusters": "None", "seed": "5", "step": "6"}
    metadata |= {"dataset": "/home/me/cats", "recipe": "/home/me/mine"}
    folder.parent.mkdir(parents=True, exist_ok=True)
    save_weights(generator, folder, metadata, "generator")
    return folder


SLOW = [
    ("linear", {"image_shape": (3, 12, 20)}),
    ("dcgan", {}),
    ("dcgan", {"num_classes": 10, "image_shape": (3, 16, 16)}),
    (str(ROOT / "tests" / "networks" / "dcgan.py"), {}),
    (str(ROOT / "tests" / "networks" / "mixture.py"), {}),
]


@pytest.mark.parametrize(
    ("model", "arguments"), [("conv", {}), *(pytest.param(*each, marks=pytest.mark.slow) for each in SLOW)]
)
def test_every_pair_draws_the_same_images(model: str, arguments: dict[str, Any], tmp_path: Path) -> None:
    generator = load_generator(save(tmp_path / "weights", model, **arguments), model)
    content, difference = onnx_file.export(generator, {"a": "b"})
    assert difference < 1e-5
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    session = onnxruntime.InferenceSession(content)
    inputs = {value.name: (value.shape, value.type) for value in session.get_inputs()}
    expected = {"noise": (["N", 16], "tensor(float)")}
    if arguments.get("num_classes"):
        expected["labels"] = (["N"], "tensor(int64)")
    assert inputs == expected
    for rows in (1, 2, 5, 100):
        noise, labels = torch.randn(rows, 16), torch.arange(rows) % 10
        given = [noise, labels][: len(inputs)]
        (images,) = session.run(["images"], dict(zip(inputs, [tensor.numpy() for tensor in given], strict=True)))
        with torch.no_grad():
            theirs = generator(*given)
        assert images.shape == theirs.shape == (rows, *generator.image_shape)  # type: ignore[misc]
        assert np.abs(images - theirs.numpy()).max() < 1e-5
        assert theirs.std() > 0.001  # it is no constant


def test_a_run(run_200: Path, tmp_path: Path) -> None:
    """The default place; nothing is printed but one line."""
    shutil.copytree(run_200, tmp_path / "run")
    done = run("run", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    said = re.fullmatch(
        r"run/generator.onnx: 1.18 MB, largest difference to PyTorch (.*) \(batches .*\)\n", done.stdout
    )
    assert said, done.stdout
    assert 0 < float(said[1]) < 1e-5
    model = onnx.load(tmp_path / "run" / "generator.onnx", load_external_data=False)
    known = {entry.key: entry.value for entry in model.metadata_props}
    expected = {"recipe": "linear", "seed": "0", "step": "200", "which": "last", "model": "linear", "latent_dim": "100"}
    assert known.items() >= (expected | {"image_shape": "[1, 28, 28]", "num_classes": "0"}).items()
    assert known.keys() - expected.keys() == {"gan_dist", "dataset", "image_shape", "num_classes"}
    assert not list((tmp_path / "run").glob(".new_*"))


def test_labels_are_an_input_and_the_docs_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "runs" / "NAME"
    save(folder / "generator", "dcgan", latent_dim=64, num_classes=10)
    (folder / "config.yaml").touch()  # as a run has it
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["export", "runs/NAME"])
    assert export.main() == 0
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", DOCS, re.S) if "InferenceSession" in block)
    names: dict[str, Any] = {}
    exec(code, names)
    assert [value.name for value in names["session"].get_inputs()] == ["noise", "labels"]
    with torch.no_grad():
        theirs = load_generator("runs/NAME")(torch.from_numpy(names["noise"]), torch.arange(10))
    assert np.abs(names["images"] - theirs.numpy()).max() < 1e-5


def test_networks_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No path and no line of the code is in the file; here it is of the best generator of a run."""
    file = write(tmp_path)
    save(tmp_path / "run" / "best" / "step_00000006", str(file))
    (tmp_path / "run" / "config.yaml").touch()
    monkeypatch.setattr(sys, "argv", ["export", f"{tmp_path}/run", "--which", "best", "--model", str(file)])
    assert export.main() == 0
    content = (tmp_path / "run" / "generator_best.onnx").read_bytes()
    known = {entry.key: entry.value for entry in onnx.load_from_string(content).metadata_props}
    assert (known["model"], known["dataset"], known["recipe"]) == ("mine.py", "cats", "mine")
    assert known["which"] == "best"
    for secret in (str(tmp_path), str(ROOT), "/home", sys.prefix, "self.layer"):
        assert secret.encode() not in content


SLOW_REASONS = [
    ("x = torch.rand_like(noise); return self.layer(x).tanh().view(-1, 1, 28, 28)", "must draw no random numbers"),
    (f"noise = noise if noise.sum() > 0 else -noise; {G_END}", r"Could not guard on data-.*mine.py:10\)$"),
    ("return torch.special.bessel_j0(self.layer(noise)).view(-1, 1, 28, 28)", "No ONNX function found for .*j0"),
]


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (f"noise = noise if len(noise) > 7 else -noise; {G_END}", "a loop or an if over the number of images"),
        *(pytest.param(*each, marks=pytest.mark.slow) for each in SLOW_REASONS),
    ],
    ids=["if", "random", "branch", "unknown"],
)
def test_what_cannot_be_exported_is_one_line(
    end: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And leaves a file that was there as it was."""
    file = write(tmp_path, PAIR.replace(G_END, end))
    weights, out = save(tmp_path / "weights", str(file)), tmp_path / "a.onnx"
    out.write_text("old")
    monkeypatch.setattr(sys, "argv", ["export", str(weights), "--out", str(out), "--model", str(file)])
    with pytest.raises(UserError, match=f"^{weights}: its generator cannot be exported to ONNX .*{reason}") as told:
        export.main()
    assert "\n" not in str(told.value)
    assert capsys.readouterr() == ("", "")
    assert out.read_text() == "old"


@pytest.mark.slow
def test_torch_prints_nothing_of_its_own(tmp_path: Path) -> None:
    file = write(tmp_path, PAIR.replace(G_END, f"noise = noise if noise.sum() > 0 else -noise; {G_END}"))
    done = run(save(tmp_path / "weights", str(file)), "--out", tmp_path / "a.onnx", "--model", file)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert "its generator cannot be exported to ONNX" in done.stderr


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["nowhere", "--out", "a.png"], "--out a.png: must be the name of an .onnx file"),
        (["nowhere", "--out", "gone/a.onnx"], "--out gone/a.onnx: there is no folder gone; make it, or name another"),
        (["tests/data"], "tests/data: is no run folder; say --out FILE.onnx"),
        (["nowhere", "--which", "first"], "argument --which: invalid choice"),
        ([], "the following arguments are required: weights"),
    ],
)
def test_bad_input_is_one_line(args: list[str], expected: str) -> None:
    done = run(*args)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert done.stderr.startswith(f"error: {expected}")


def test_missing_packages_are_named(tmp_path: Path) -> None:
    for name in ("onnxscript", "onnxruntime"):  # as if not installed
        with (tmp_path / "sitecustomize.py").open("a") as file:
            file.write(f"import sys; sys.modules['{name}'] = None\n")
    done = run("nowhere", PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: export needs packages that are not here; pip install onnxscript onnxruntime\n"
