"""`gan_dist.train` in the kernel of a notebook, and in several processes that Accelerate starts from one."""

import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import gan_dist
from benchmarks.world_size import digits, largest_difference
from gan_dist.storage.checkpoints import newest_first
from gan_dist.training.stop import StopRequest
from tests.conftest import DATA_DIR, ROOT
from tests.harness.notebook import Notebook
from tests.harness.runs import difference, last_step, start_command, wait_until

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


def cells(options: str) -> list[str]:
    """The cells of docs/library.md, for one process and for two, with other options."""
    text = (ROOT / "docs" / "library.md").read_text().partition("## In a notebook")[2].partition("\n## ")[0]
    found = re.findall(r"```python\n(.*?)```", text, re.S)
    return [re.sub(r'recipe="linear", epochs=1(, run_dir="runs/two")?', options, cell) for cell in found]


@pytest.fixture(scope="module")
def options() -> dict[str, object]:
    option, value = digits(str(DATA_DIR))
    fixed = {"recipe": "linear", "eval_every": 0, "tracker": "none", "num_samples": 10}
    return {**fixed, option[2:].replace("-", "_"): value}


@pytest.fixture(scope="module")
def notebook(options: dict[str, object], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    with Notebook(tmp_path_factory.mktemp("notebook")) as notebook:
        assert notebook.run(FIRST_CELL.format(options=options)) == ""
        yield notebook


@pytest.mark.slow
def test_the_same_bits_as_the_command(notebook: Notebook, run_200: Path) -> None:
    """In the second of two runs in one process, which is left as it was."""
    of_the_docs, _ = cells("**OPTIONS, max_steps=1, seed=3")
    assert "Error" not in notebook.run(of_the_docs)
    options = "max_steps=200, log_every=50, sample_every=100, deterministic=True, run_dir='a'"
    shown = notebook.run(f"before = process(); gan_dist.train(**OPTIONS, {options})")
    assert "step 100/200 epoch 0 loss_d " in shown
    assert shown.endswith("Run('a'), step 200\n")
    assert notebook.run("[a == b for a, b in zip(before, process())]") == f"[{', '.join(['True'] * 9)}]\n"
    assert difference(notebook.folder / "a", run_200) == ""


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
    threads = "[t for t in threading.enumerate() if t.name.startswith('batches')]"
    notebook.run(f"import gc, threading; gc.collect(); [t.join(10) for t in {threads}]")  # it ends a little later
    assert notebook.run(threads) == "[]\n"  # nothing of the run is left but the error
    notebook.run("gan_dist.train(**OPTIONS, max_steps=1, run_dir='m')")
    (notebook.folder / "m" / "checkpoints" / "step_00000001" / "state.json").write_text("damaged")
    for _ in range(2):  # the first one has left the folder, which it had entered
        shown = notebook.run("gan_dist.train(**OPTIONS, max_steps=2, run_dir='m')")
        assert "UserError: run folder m: no checkpoint in " in shown


@pytest.mark.slow
def test_two_processes_from_a_notebook(notebook: Notebook) -> None:
    """Twice in one job, after a run in the notebook itself; then the next job, after one that failed."""
    options = "**OPTIONS, dtype='float64', max_steps=20"
    notebook.run(f"gan_dist.train({options}, run_dir='b')")
    _, job = cells(f"{options}, run_dir='c'); gan_dist.train({options}, run_dir='d'")
    job = job.replace("runs/two", "c")
    shown = notebook.run(job)
    assert shown.count("on cpu, world size 2, ") == 2, shown
    for name in ("c", "d"):
        assert 0 < largest_difference(notebook.folder / "b", notebook.folder / name) < 1e-10
    assert "ChildFailedError" in notebook.run(job.replace("dtype='float64'", "seed=1"))
    assert notebook.run(job).count("nothing left to do") == 2


def test_second_interrupt_is_one() -> None:
    """Where the process is not ours to end."""
    with StopRequest(1, torch.device("cpu"), may_exit=False) as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.agreed(1) == signal.SIGINT
        time.sleep(1.1)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


@pytest.mark.slow
def test_script_that_is_told_to_end_saves_and_ends(options: dict[str, object], tmp_path: Path) -> None:
    code = f"import gan_dist; gan_dist.train(**{options}, log_every=1, run_dir={str(tmp_path / 'run')!r})"
    process = start_command([sys.executable, "-c", code])
    wait_until(lambda: last_step(tmp_path / "run") >= 20, process)
    process.terminate()
    words, _ = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM, words
    assert [int(folder.name[5:]) for folder in newest_first(tmp_path / "run" / "checkpoints")] == [
        last_step(tmp_path / "run")
    ]


@pytest.mark.parametrize(
    ("wrong", "words"),
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
def test_wrong_options(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(gan_dist.UserError) as error:
        gan_dist.train(**wrong)  # type: ignore[arg-type]
    assert str(error.value).startswith(words)
    assert error.value.__context__ is None
