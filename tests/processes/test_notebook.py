"""`gan_dist.train` in the kernel of a notebook, and in several processes that Accelerate starts from one."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import gan_dist
from benchmarks.world_size import digits, largest_difference
from gan_dist.storage.checkpoints import newest_first
from tests.conftest import DATA_DIR
from tests.harness.notebook import Notebook
from tests.harness.runs import difference, last_step

FIRST_CELL = """
import json, os, random, signal
import gan_dist
from gan_dist.train import main  # the command's module, which has the function's name
OPTIONS = {options}

def process():
    import logging, numpy, torch
    from accelerate.state import AcceleratorState
    return [
        os.getpid(), [signal.getsignal(number) for number in (1, 2, 10, 15)], logging.getLogger("gan_dist").handlers[:],
        str(AcceleratorState._shared_state), torch.get_float32_matmul_precision(), torch.get_rng_state().tolist(),
        torch.are_deterministic_algorithms_enabled(), random.getstate(), repr(numpy.random.get_state()),
    ]
"""
LAUNCHER = """
import accelerate
def job():
    for name in ("c", "d"):
        gan_dist.train(**OPTIONS, dtype="float64", max_steps=20, run_dir=name)
accelerate.notebook_launcher(job, num_processes=2, rdzv_backend="c10d", rdzv_endpoint="localhost:0")
"""


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    words = digits(str(DATA_DIR))
    options = {word[2:].replace("-", "_"): value for word, value in zip(words[::2], words[1::2], strict=True)}
    fixed = {"recipe": "linear", "eval_every": 0, "tracker": "none", "num_samples": 10}
    with Notebook(tmp_path_factory.mktemp("notebook")) as notebook:
        assert notebook.run(FIRST_CELL.format(options=options | fixed)) == ""
        yield notebook


def test_the_same_bits_as_the_command(notebook: Notebook, run_200: Path) -> None:
    """In the second of two runs in one process, which is left as it was."""
    notebook.run("before = process(); gan_dist.train(**OPTIONS, max_steps=1, seed=3, deterministic=True)")
    shown = notebook.run("gan_dist.train(**OPTIONS, max_steps=200, log_every=50, sample_every=100, run_dir='a')")
    assert "step 100/200 epoch 0 loss_d " in shown
    assert shown.endswith("Run('a'), step 200\n")
    assert notebook.run("[a == b for a, b in zip(before, process())]") == f"[{', '.join(['True'] * 9)}]\n"
    assert difference(notebook.folder / "a", run_200) == ""
    rows = json.loads(notebook.run("run = gan_dist.Run('a'); print(json.dumps(run.metrics))"))
    assert [row["step"] for row in rows] == [50, 100, 150, 200]
    assert notebook.run("run.generator.training, next(run.generator.parameters()).device") == (
        "(False, device(type='cpu'))\n"
    )
    assert notebook.run("run.show(25)") == "<PNG>\n"
    assert notebook.run("run.show(25).size, run.path") == "((150, 150), PosixPath('a'))\n"


def test_stop_button_saves_and_stops_the_cell(notebook: Notebook) -> None:
    loop = "for seed in (0, 1):\n    gan_dist.train(**OPTIONS, seed=seed, log_every=1, run_dir=f's{seed}')"
    shown = notebook.run(loop, interrupt_when=lambda words: "step 20/" in words)
    name, _, words = shown.splitlines()[-1].partition(": ")
    step = last_step(notebook.folder / "s0")
    assert name == "KeyboardInterrupt"
    assert words.startswith(f"stopped after step {step}, which is saved; the same call with run_dir='s0' goes on")
    assert [folder.name for folder in newest_first(notebook.folder / "s0" / "checkpoints")] == [f"step_{step:08d}"]
    assert not (notebook.folder / "s1").exists()
    shown = notebook.run(f"gan_dist.train(**OPTIONS, max_steps={step + 1}, run_dir='s0')")
    assert f"going on from s0/checkpoints/step_{step:08d}\n" in shown
    assert shown.endswith(f"Run('s0'), step {step + 1}\n")


def test_errors_leave_the_notebook_usable(notebook: Notebook) -> None:
    shown = notebook.run("gan_dist.train(**OPTIONS, lr_g=1e38, lr_d=1e38, run_dir='n')")
    assert "Diverged: step 1: loss_g is nan; lower learning rates may help\n" in shown
    notebook.run("gan_dist.train(**OPTIONS, max_steps=1, run_dir='m')")
    (notebook.folder / "m" / "checkpoints" / "step_00000001" / "state.json").write_text("damaged")
    for _ in range(2):  # the first one has left the folder, which it had entered
        shown = notebook.run("gan_dist.train(**OPTIONS, max_steps=2, run_dir='m')")
        assert "UserError: run folder m: no checkpoint in " in shown


@pytest.mark.slow
def test_two_processes_from_a_notebook(notebook: Notebook) -> None:
    """Twice in one job, after a run in the notebook itself; then the next job, after one that failed."""
    notebook.run("one = gan_dist.train(**OPTIONS, dtype='float64', max_steps=20, run_dir='b')")
    shown = notebook.run(LAUNCHER)
    assert shown.count("on cpu, world size 2, ") == 2, shown
    for name in ("c", "d"):
        assert 0 < largest_difference(notebook.folder / "b", notebook.folder / name) < 1e-10
    assert "ChildFailedError" in notebook.run(LAUNCHER.replace("**OPTIONS", "**OPTIONS, seed=1"))
    assert notebook.run(LAUNCHER).count("nothing left to do") == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 0}, "--batch-size 0: must be greater than 0"),
        ({"batchsize": 64}, "unknown option --batchsize; did you mean --batch-size?"),
        ({"lr_g": "high"}, "--lr-g high: must be a number"),
        ({"model_args": ["hidden"]}, "--model-args hidden: must be NAME=VALUE"),
        ({"recipe": "nothing"}, "--recipe nothing: no such preset; take one of "),
        ({"help": True}, "unknown option --help; "),
        ({"print_config": True}, "unknown option --print-config; "),
    ],
)
def test_wrong_options(options: dict[str, object], words: str) -> None:
    with pytest.raises(gan_dist.UserError) as error:
        gan_dist.train(**options)  # type: ignore[arg-type]
    assert str(error.value).startswith(words)
    assert error.value.__context__ is None
