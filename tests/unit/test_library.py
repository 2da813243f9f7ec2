"""What may be used in somebody's own script: it is described, and has no other effects."""

import ast
import inspect
import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch import Tensor, nn

import gan_dist
from gan_dist.errors import UserError
from gan_dist.storage.checkpoints import resume
from tests.conftest import ROOT

SIDE_EFFECTS = """
import json, logging, os, signal, sys, warnings
import accelerate, huggingface_hub, numpy, psutil, safetensors.torch, torch, yaml  # what they do is not ours
from torch import nn

def state():
    loggers = [logging.getLogger(name) for name in (None, "gan_dist")]
    return [
        repr(warnings.filters),
        [str(signal.getsignal(number)) for number in sorted(signal.valid_signals())],
        [(repr(each.handlers), each.level, each.propagate) for each in loggers],
        [sys.path, os.getcwd(), dict(os.environ), repr([sys.stdout, sys.stderr, sys.excepthook])],
        [str(torch.get_default_dtype()), torch.get_num_threads(), torch.get_float32_matmul_precision()],
        [torch.are_deterministic_algorithms_enabled(), torch.is_grad_enabled(), torch.backends.cudnn.allow_tf32],
        torch.get_rng_state().tolist(),
        repr(numpy.random.get_state()),
    ]

accelerator = accelerate.Accelerator(cpu=True)
g, d = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4)), nn.Linear(4, 1)
before = state()
import gan_dist
for name in gan_dist.__all__:
    getattr(gan_dist, name)
gan_dist.make_global(g)
step = gan_dist.AdversarialStep(g, d, *(gan_dist.ScaledOptimizer(n, gan_dist.make_adam(n, 1e-3)) for n in (g, d)))
(noise,) = gan_dist.normal(0, gan_dist.Stream.NOISE, [0], 8, 2).float()
step(gan_dist.Batch(torch.zeros(8, 4), noise))
assert gan_dist.resume(accelerator, sys.argv[1], step.tensors()) == {"step": 0}
saver = gan_dist.Saver(sys.argv[1])
saver.save(step.tensors(), {"step": 1})
saver.wait()
assert gan_dist.resume(accelerator, sys.argv[1], step.tensors())["step"] == 1
print(json.dumps([before, state()]))
"""
SPEED = """
import sys, time
start = time.process_time()
import gan_dist
print(time.process_time() - start, 'torch' in sys.modules, 'numpy' in sys.modules)
"""


def python(code: str, *args: str) -> str:
    done = subprocess.run([sys.executable, "-c", code, *args], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.seconds
def test_nothing_else_is_touched_or_printed(tmp_path: Path) -> None:
    """By the import of all public names, nor by a step and a checkpoint; of torch's generators neither."""
    before, after = json.loads(python(SIDE_EFFECTS, str(tmp_path)))
    assert before == after


def test_importing_the_package_is_quick() -> None:
    seconds, has_torch, has_numpy = python(SPEED).split()
    assert (has_torch, has_numpy) == ("False", "False")
    assert float(seconds) < 0.5


def test_every_public_name_is_described() -> None:
    text = (ROOT / "docs" / "library.md").read_text()
    assert sorted(re.findall(r"^\| `(\w+)", text, re.M)) == gan_dist.__all__
    for name in gan_dist.__all__:
        thing = getattr(gan_dist, name)
        if isinstance(thing, dict | int):  # which have the docstring of their class
            continue
        members = vars(thing).items() if inspect.isclass(thing) else ()
        for each in [thing, *(m for key, m in members if key[0] != "_" and key != "forward" and inspect.isfunction(m))]:
            words = each.__doc__ or ""
            assert len(words.split()) > 2, each
            assert not words.startswith(f"{name}("), each  # what NamedTuple writes by itself


def test_type_checkers_see_every_public_name() -> None:
    tree = ast.parse((ROOT / "gan_dist" / "__init__.py").read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    imports = [node for node in ast.walk(block) if isinstance(node, ast.ImportFrom)]
    seen = {alias.asname: node.module for node in imports for alias in node.names}
    assert seen == gan_dist._MODULES
    assert set(gan_dist.__all__) <= set(dir(gan_dist))


def test_resume(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    accelerator, folder = Accelerator(cpu=True), tmp_path / "run" / "checkpoints"
    weights = {"w": torch.zeros(2)}
    tensors: dict[str, dict[str, Tensor]] = {"g": weights}
    assert resume(accelerator, folder, tensors) == {"step": 0}
    saver = gan_dist.Saver(str(folder))
    for step in (3, 7):
        weights["w"].fill_(step)
        saver.save(tensors, {"step": step, "mine": "a word"})
    saver.wait()
    assert saver.failure is None
    (folder / "step_00000007" / "g.safetensors").write_bytes(b"damaged")
    (folder / ".new_step_00000008").mkdir()  # what a killed writer leaves
    state = resume(accelerator, folder, tensors)
    assert (state["step"], state["mine"], weights["w"].tolist()) == (3, "a word", [3, 3])
    assert "step_00000007 is skipped: g.safetensors has 7 bytes" in caplog.text
    assert not (folder / ".new_step_00000008").exists()
    with pytest.raises(UserError, match=r"cannot be resumed from \(no checkpoint in .* is sound\); name another"):
        resume(accelerator, folder, {"g": {"w": torch.zeros(3)}})
    with pytest.raises(UserError, match="cannot be resumed from"):
        resume(accelerator, __file__, tensors)


@pytest.mark.seconds
def test_run_is_what_its_folder_has(run_200: Path, tmp_path: Path) -> None:
    run = gan_dist.Run(str(run_200))
    assert repr(run) == f"Run({str(run_200)!r}), step 200"
    assert [row["step"] for row in run.metrics] == [50, 100, 150, 200]
    assert (run.generator.training, next(run.generator.parameters()).device.type) == (False, "cpu")
    picture = run.show(10)
    picture.save(tmp_path / "shown.png")
    python("from gan_dist.generate import main; main()", str(run_200), "--num=10", f"--out={tmp_path / 'drawn.png'}")
    assert (picture.mode, picture.size) == ("L", (120, 90))
    assert (tmp_path / "shown.png").read_bytes() == (tmp_path / "drawn.png").read_bytes()
    with pytest.raises(UserError, match="num 0: must be at least 1"):
        run.show(0)
    with pytest.raises(UserError, match="holds no run; name a folder that training has made"):
        gan_dist.Run(tmp_path)


def test_the_command_does_not_hide_the_function() -> None:
    """Python would put the module gan_dist.train, the command, in the place of the function of that name."""
    code = "import gan_dist.train; from gan_dist.train import main; print(main.__module__, gan_dist.train.__module__)"
    assert python(code) == "gan_dist.train gan_dist.training.notebook\n"
    assert python("import gan_dist; gan_dist.train = 3; print(gan_dist.train)") == "3\n"  # anything else may be set


def test_processes_join_before_batchnorm_is_made_global(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="make the Accelerator first"):
        gan_dist.make_global(nn.BatchNorm1d(2))


def test_a_batch_that_cannot_be_cut_is_refused() -> None:
    images = np.zeros((20, 28, 28), np.uint8)
    with pytest.raises(UserError, match="--accumulate 3: --batch-size 10 is no multiple of it"):
        gan_dist.Batches(images, Accelerator(cpu=True), batch_size=10, latent_dim=2, seed=0, accumulate=3)


def test_step_finds_out_whether_d_looks_across_its_batch() -> None:
    """And has no other effect on the first step than on one that was settled before."""
    results = []
    for norm, settled in itertools.product((nn.Identity(), nn.BatchNorm1d(4)), (False, True)):
        torch.manual_seed(0)
        pair = nn.Sequential(nn.Linear(2, 4), nn.Tanh()), nn.Sequential(nn.Linear(4, 4), norm, nn.Linear(4, 1))
        optimizers = [gan_dist.ScaledOptimizer(each, gan_dist.make_adam(each, 1e-2)) for each in pair]
        step = gan_dist.AdversarialStep(*pair, *optimizers)
        batch = gan_dist.Batch(torch.randn(6, 4), torch.randn(6, 2))
        if settled:
            step.settle(batch)
        results.append(step(batch).loss_g)
        assert step.apart == isinstance(norm, nn.BatchNorm1d)
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])
