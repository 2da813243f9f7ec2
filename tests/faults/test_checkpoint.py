"""Checkpoints: refused if anything is wrong with them, kept, cleaned, and free of pickle."""

import contextlib
import json
import logging
import os
import random
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from benchmarks.world_size import largest_difference
from gan_dist import models
from gan_dist.errors import UserError
from gan_dist.storage import checkpoint
from gan_dist.storage import tensors as tensor_files
from gan_dist.storage.checkpoint import CheckpointError, Tensors
from gan_dist.storage.checkpoints import make_newest, newest_first
from gan_dist.storage.metrics_file import read_rows
from gan_dist.storage.saver import Saver
from gan_dist.storage.weights import load_generator, save_weights
from gan_dist.training.record import check_content
from tests.conftest import ROOT, train, train_alone
from tests.harness.runs import fill, last_step, ranks, small_disk, start, start_launcher, wait_until

STATE: dict[str, Any] = {
    "step": 7,
    "epoch": 0,
    "images_seen": 448,
    "config": {"seed": 0},
    "precision": "no",
    "scalers": {},
    "world_size": 1,
    "versions": {},
    "trackers": {},
}


def make_tensors(fill: float = 1.0) -> dict[str, dict[str, torch.Tensor]]:
    first = {"w": torch.arange(12.0).view(3, 4) * fill, "n": torch.tensor(3)}
    return {"generator": first, "optimizer_g": {"w.step": torch.tensor(fill), "w.exp_avg": torch.ones(3, 4).double()}}


def load(folder: Path, expected: Tensors) -> dict[str, Any]:
    state = checkpoint.read_state(folder)
    check_content(state)
    checkpoint.verify(folder, state, expected)
    checkpoint.load_into(folder, expected)
    return state


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    checkpoint.write(tmp_path / "step_00000007", make_tensors(2.0), STATE)
    return tmp_path / "step_00000007"


def seal(folder: Path, **changes: Any) -> None:
    """Change state.json as a forger would: with a checksum that fits."""
    content = json.loads((folder / "state.json").read_text()) | changes
    del content["checksum"]
    (folder / "state.json").write_text(json.dumps(content | {"checksum": checkpoint._checksum(content)}))


def test_what_was_written_is_read(saved: Path) -> None:
    tensors = make_tensors(0.0)
    state = load(saved, tensors)
    assert {key: state[key] for key in STATE} == STATE
    assert torch.equal(tensors["generator"]["w"], make_tensors(2.0)["generator"]["w"])
    assert sorted(file.name for file in saved.parent.iterdir()) == ["step_00000007"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"step": -1}, "count"),
        ({"step": 1.5}, "count"),
        ({"step": True}, "count"),
        ({"world_size": "2"}, "a world_size that is no int"),
        ({"config": []}, "a config that is no dict"),
        ({"precision": 3}, "a precision that is no str"),
        ({"trackers": None}, "a trackers that is no dict"),
        ({"scalers": {"d": 3}}, "loss scaler"),
        ({"scalers": {"d": {"scale": "1"}}}, "loss scaler"),
        ({"scalers": {"d": {"_growth_tracker": 2**70}}}, "loss scaler"),
        ({"format": 2}, "format 1"),
        ({"files": {}}, "names the files"),
        ({"files": {"../../generator.safetensors": {"size": 1, "sha256": ""}}}, "names the files"),
        ({"files": []}, "damaged"),
        ({"files": {"generator.safetensors": 3}}, "damaged"),
    ],
)
def test_forged_state_is_refused(saved: Path, changes: dict[str, Any], expected: str) -> None:
    seal(saved, **changes)
    with pytest.raises(CheckpointError, match=expected):
        load(saved, make_tensors())


@pytest.mark.parametrize(
    "forge",
    [
        lambda t: t | {"w": t["w"][:2]},  # another shape
        lambda t: t | {"w": t["w"].double()},  # another type
        lambda t: t | {"more": t["w"].clone()},
        lambda t: {"n": t["n"]},
        lambda t: t | {"w": torch.zeros(3, 400)},  # larger than anything expected
    ],
)
def test_other_tensors_are_refused(saved: Path, forge: Any) -> None:
    tensors = make_tensors()
    shutil.rmtree(saved)
    checkpoint.write(saved, tensors | {"generator": forge(tensors["generator"])}, STATE)
    with pytest.raises(CheckpointError, match=r"generator.safetensors has (other tensors|\d+ bytes)"):
        load(saved, make_tensors())


def test_links_and_pipes_are_refused(saved: Path) -> None:
    file = saved / "generator.safetensors"
    file.rename(saved.parent / "elsewhere")
    file.symlink_to(saved.parent / "elsewhere")
    with pytest.raises(CheckpointError, match="not a plain file"):
        load(saved, make_tensors())
    (saved / "state.json").unlink()
    os.mkfifo(saved / "state.json")
    with pytest.raises(CheckpointError, match="not a plain file"):
        load(saved, make_tensors())


def test_content_is_the_writers_own(saved: Path) -> None:
    """A checkpoint of another trainer has other fields, and one of a later version may have more."""
    state = {"step": 3, "mood": [None, "good"]}
    checkpoint.write(saved, make_tensors(2.0), state)
    assert {key: checkpoint.read_state(saved)[key] for key in state} == state
    with pytest.raises(CheckpointError, match="epoch"):
        load(saved, make_tensors())
    halved_to_nothing = {"d": {"scale": 0.0}}
    checkpoint.write(saved, make_tensors(2.0), STATE | {"more": 1, "scalers": halved_to_nothing})
    assert load(saved, make_tensors())["more"] == 1
    seal(saved, step=None)
    with pytest.raises(CheckpointError, match="count"):
        checkpoint.read_state(saved)


def test_every_type_is_kept_bit_for_bit(tmp_path: Path) -> None:
    """Shared, empty and transposed tensors, too."""
    chance = torch.Generator().manual_seed(0)
    integers = torch.randint(0, 256, (7, 64), dtype=torch.uint8, generator=chance)
    group = {str(dtype): integers.view(dtype) for dtype in tensor_files.TYPES if dtype != torch.bool}
    group["bool"] = integers > 99
    group |= {"transposed": torch.arange(6.0).view(2, 3).T, "empty": torch.empty(0), "number": torch.tensor(7)}
    group |= {"again": group["number"], "row": group["transposed"][1], "name" * 200: torch.ones(1)}
    checkpoint.write(tmp_path / "step_00000007", {"generator": group}, STATE)
    loaded = {"generator": {name: torch.zeros_like(tensor) for name, tensor in group.items()}}
    load(tmp_path / "step_00000007", loaded)
    for name, tensor in group.items():
        a, b = (each.contiguous().view(-1).view(torch.uint8) for each in (loaded["generator"][name], tensor))
        assert torch.equal(a, b), name
    odd = torch.zeros(2, dtype=torch.complex128)
    with pytest.raises(TypeError, match=r"odd is torch.complex128, which safetensors files cannot hold"):
        checkpoint.write(tmp_path / "step_00000008", {"generator": {"odd": odd}}, STATE)
    with pytest.raises(CheckpointError, match="other tensors than expected: odd"):
        load(tmp_path / "step_00000007", {"generator": loaded["generator"] | {"odd": odd}})


def test_every_type_is_saved_beside_training(tmp_path: Path) -> None:
    saver = Saver(tmp_path)
    group = {str(dtype): torch.zeros(3, dtype=dtype) for dtype in tensor_files.TYPES}
    saver.save({"generator": group}, STATE, before=lambda: None)
    saver.wait()
    assert saver.failure is None


def mutations(content: bytes, chance: random.Random) -> Iterator[bytes]:
    """Flipped bits, cuts, insertions, doublings, zeroed and shuffled blocks."""
    while True:
        a, b = sorted(chance.randrange(len(content) + 1) for _ in range(2))
        flipped = bytearray(content)
        flipped[min(a, len(content) - 1)] ^= 1 << chance.randrange(8)
        yield bytes(flipped)
        yield content[:a]
        yield content[:a] + chance.randbytes(chance.randrange(1, 9)) + content[a:]
        yield content[:a] + content[b:]
        yield content[:b] + content[a:]
        yield content[:a] + bytes(b - a) + content[b:]
        yield content[:a] + content[a:b][::-1] + content[b:]


@pytest.mark.parametrize("times", [200, pytest.param(1500, marks=pytest.mark.slow)])
def test_fuzzed_checkpoints_are_refused(times: int, saved: Path) -> None:
    """Mutated files, half of them sealed again: an error each time, or the same content."""
    chance = random.Random(0)
    good, good_state = make_tensors(0.0), load(saved, make_tensors())
    load(saved, good)
    refused = same = 0
    for name in ("state.json", "generator.safetensors", "optimizer_g.safetensors"):
        content, state_text = (saved / name).read_bytes(), (saved / "state.json").read_bytes()
        for _, mutated in zip(range(times), mutations(content, chance), strict=False):
            (saved / name).write_bytes(mutated)
            if name != "state.json" and chance.random() < 0.5:
                path = saved / name
                files = good_state["files"] | {name: {"size": len(mutated), "sha256": checkpoint._sha256(path)}}
                seal(saved, files=files)
            tensors = make_tensors(-1.0)
            try:
                state = load(saved, tensors)
                assert state["step"] == good_state["step"]
                resealed = (saved / "state.json").read_bytes() != state_text and name != "state.json"
                assert resealed or all(torch.equal(tensors[p][k], good[p][k]) for p in good for k in good[p])
                same += 1
            except CheckpointError:
                refused += 1
            (saved / "state.json").write_bytes(state_text)
        (saved / name).write_bytes(content)
    print(f"{refused} refused, {same} loaded with the same content or with numbers that their forger sealed")
    assert refused > 7 * times / 3
    assert refused + same == 3 * times


def test_save_that_still_runs_is_waited_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    saver = Saver(tmp_path)
    saver.save(make_tensors(), STATE, before=lambda: time.sleep(0.5))
    assert list(tmp_path.iterdir()) == []
    saver.save(make_tensors(), STATE | {"step": 8}, before=lambda: None)
    assert (tmp_path / "step_00000007" / "state.json").exists()
    saver.wait()
    assert checkpoint.read_state(tmp_path / "step_00000008")["step"] == 8
    assert caplog.messages == ["waiting for the last checkpoint to be written"]


def test_save_that_fails_for_any_reason_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    saver = Saver(tmp_path)
    saver.save(make_tensors(), STATE | {"odd": {1, 2}}, before=lambda: None)  # a set: json refuses it with a TypeError
    saver.wait()
    assert saver.failure == "Object of type set is not JSON serializable"
    assert caplog.messages == [f"step_00000007 was not saved ({saver.failure}); last good checkpoint: none"]
    saver.save({"generator": {"w": torch.zeros(3, device="meta")}}, STATE, before=lambda: None)  # cannot be copied
    assert "Cannot copy out of meta tensor" in str(saver.failure)
    assert caplog.messages[1:] == [f"step_00000007 was not saved ({saver.failure}); last good checkpoint: none"]
    assert list(tmp_path.iterdir()) == []
    saver.save(make_tensors(), STATE, before=lambda: None)
    saver.wait()
    assert saver.failure is None


@pytest.fixture(scope="module")
def run_60(data_args: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    args = ["--max-steps", 60, "--checkpoint-every", 10, "--log-every", 10]
    return train(1, tmp_path_factory.mktemp("run_60") / "run", *data_args, *args)


@pytest.fixture
def run(run_60: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run_60, tmp_path / "run"))


def test_newest_checkpoints_stay(run_60: Path) -> None:
    assert sorted(p.name for p in (run_60 / "checkpoints").iterdir()) == [f"step_000000{n}" for n in (40, 50, 60)]


def test_state_of_a_run(run_60: Path) -> None:
    state = checkpoint.read_state(run_60 / "checkpoints" / "step_00000060")
    assert (state["step"], state["epoch"], state["images_seen"], state["world_size"]) == (60, 0, 3840, 1)
    assert state["config"]["model"] == "linear"
    assert "torch" in state["versions"]


def test_damaged_checkpoint_is_skipped(run: Path, run_60: Path, data_args: list[str]) -> None:
    damaged = run / "checkpoints" / "step_00000060" / "optimizer_d.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-4])
    (run / "checkpoints" / ".new_step_00000070").mkdir()
    (run / ".new_config.yaml.machine.01234567").touch()
    done = train_alone(*data_args, "--run-dir", run, "--max-steps", 60)
    assert done.returncode == 0
    assert re.search(r"warning: .*step_00000060 is skipped: optimizer_d.safetensors has \d+ bytes, not", done.stderr)
    assert f"going on from {run}/checkpoints/step_00000050" in done.stderr
    assert not list((run / "checkpoints").glob(".*")) + list(run.glob(".new_*"))
    assert largest_difference(run, run_60) == 0


def test_no_sound_checkpoint_is_an_error(run: Path, data_args: list[str]) -> None:
    for file in run.glob("checkpoints/*/generator.safetensors"):
        file.write_bytes(b"")
    before = sorted(run.rglob("*"))
    done = train_alone(*data_args, "--run-dir", run, "--max-steps", 70)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(
        f"error: run folder {run}: no checkpoint in {run}/checkpoints is sound"
    )
    assert sorted(run.rglob("*")) == before


def test_mathematics_cannot_change(run: Path, data_args: list[str]) -> None:
    weights = (run / "generator" / "model.safetensors").read_bytes()
    done = train_alone(*data_args, "--run-dir", run, "--batch-size", 32, "--seed", 5, "--max-steps", 70)
    assert done.returncode == 2
    assert "--batch-size 32 (was 64)" in done.stderr
    assert "--seed 5 (was 0)" in done.stderr
    assert done.stderr.count("\n") == 1
    assert (run / "generator" / "model.safetensors").read_bytes() == weights


@pytest.mark.slow
def test_length_can_change(run: Path, data_args: list[str], tmp_path: Path) -> None:
    args = [*data_args, "--max-steps", 80, "--log-every", 20, "--checkpoint-every", 1000]
    assert train_alone(*args, "--run-dir", run).returncode == 0
    assert largest_difference(run, train(1, tmp_path / "never_stopped", *args)) == 0
    assert "max-steps: 80" in (run / "config.yaml").read_text()


@pytest.mark.slow
def test_resume_never_and_from_a_checkpoint(run: Path, run_60: Path, data_args: list[str], tmp_path: Path) -> None:
    done = train_alone(*data_args, "--run-dir", run, "--resume", "never")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--resume never" in done.stderr
    done = train_alone(*data_args, "--resume", run / "checkpoints" / "step_00000040", "--max-steps", 60)
    assert done.returncode == 0, done.stderr
    assert largest_difference(run, run_60) == 0
    branch = tmp_path / "branch"
    done = train_alone(
        *data_args, "--resume", run / "checkpoints" / "step_00000040", "--max-steps", 60, "--run-dir", branch
    )
    assert done.returncode == 0, done.stderr
    assert largest_difference(branch, run_60) == 0
    # A branch that is killed before its first own checkpoint has the one that it began from.
    assert not torch.equal(
        *(
            load_file(folder / "generator.safetensors")["layers.0.weight"]
            for folder in (branch / "checkpoints" / "step_00000040", branch / "checkpoints" / "step_00000060")
        )
    )


@pytest.mark.slow
def test_resume_from_nothing_makes_nothing(run: Path, data_args: list[str], tmp_path: Path) -> None:
    """Neither a word nor an empty folder nor a damaged checkpoint; and the error names no option that was not given."""
    (tmp_path / "empty").mkdir()
    damaged = tmp_path / "damaged"
    shutil.copytree(run / "checkpoints" / "step_00000050", damaged)
    (damaged / "optimizer_g.safetensors").write_bytes(b"")
    before = sorted(tmp_path.rglob("*"))
    for asked, where, words in (
        ("Auto", ["--run-dir", tmp_path / "new"], "neither a checkpoint nor a run; take auto, never, RUN/checkp"),
        (tmp_path / "empty", [], "neither a checkpoint nor a run"),
        (damaged, ["--run-dir", tmp_path / "new"], "optimizer_g.safetensors has 0 bytes"),
        (damaged, [], "lies in no run; name .* with --run-dir"),
    ):
        done = train_alone(*data_args, "--resume", asked, *where)
        assert done.returncode == 2
        assert re.fullmatch(f"error: --resume {asked}: .*{words}.*\n", done.stderr), done.stderr
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.slow
def test_going_back_is_a_decision(run: Path, data_args: list[str]) -> None:
    """Later checkpoints are kept and not resumed, and dashboards, where steps only grow, get another run."""
    checkpoints, old_id = run / "checkpoints", (run / ".id").read_text()
    args = [*data_args, "--log-every", 1, "--checkpoint-every", 10]
    done = train_alone(*args, "--resume", checkpoints / "step_00000040", "--max-steps", 45)
    assert done.returncode == 0, done.stderr
    (aside,) = checkpoints.glob("set_aside_*")
    assert f"later than step_00000040 and set aside in {aside}: step_00000050, step_00000060\n" in done.stderr
    assert sorted(file.name for file in aside.iterdir()) == ["step_00000050", "step_00000060"]
    assert last_step(run) == 45
    assert (run / ".id").read_text() != old_id
    done = train_alone(*args, "--run-dir", run, "--max-steps", 47)
    assert f"going on from {checkpoints}/step_00000045" in done.stderr
    assert [row["step"] for row in read_rows(run / "metrics.jsonl")] == [10, 20, 30, 40, *range(41, 48)]
    # And back to what was set aside: it is this run's again.
    done = train_alone(*args, "--resume", aside / "step_00000060", "--max-steps", 61)
    assert done.returncode == 0, done.stderr
    assert (checkpoints / "step_00000061").exists()
    assert len(list(checkpoints.glob("set_aside_*"))) == 1


def test_going_back_killed_at_any_rename(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest is the old one or the one that was asked for, never one between."""
    for renames in range(3):
        copy = Path(shutil.copytree(run / "checkpoints", run / f"copy{renames}"))
        real, left = os.replace, iter(range(renames))

        def replace(a: Path, b: Path) -> None:
            if next(left, None) is None:  # noqa: B023
                raise KeyboardInterrupt
            real(a, b)  # noqa: B023

        monkeypatch.setattr(os, "replace", replace)
        with contextlib.suppress(KeyboardInterrupt):
            make_newest(copy, copy / "step_00000040", 40)
        monkeypatch.undo()
        assert newest_first(copy)[0].name == ("step_00000040" if renames == 2 else "step_00000060")


@pytest.mark.slow
def test_run_is_resumed_by_its_name(run: Path, data_args: list[str], tmp_path: Path) -> None:
    """--resume RUN goes on from its newest checkpoint, in it or in another folder; what is done is said to be done."""
    (run / "config.yaml").write_text((run / "config.yaml").read_text().replace("tracker: none", "tracker: comet"))
    done = train_alone(*data_args, "--resume", run, "--max-steps", 62)
    assert done.returncode == 0, done.stderr
    assert f"going on from {run}/checkpoints/step_00000060" in done.stderr
    assert not list(run.glob("checkpoints/set_aside_*"))
    done = train_alone(*data_args, "--resume", run, "--max-steps", 30, "--run-dir", tmp_path / "branch")
    assert done.returncode == 0, done.stderr
    assert "nothing left to do: 62 steps are done, 30 were asked for\n" in done.stdout
    assert newest(tmp_path / "branch" / "checkpoints").name == "step_00000062"


def test_unfinished_run_and_its_checkpoints_draw(
    run: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    final = load_generator(run).state_dict()
    same = load_generator(run / "checkpoints" / "step_00000060").state_dict()
    assert final.keys() == same.keys()
    assert all(torch.equal(final[name], same[name]) for name in final)
    assert caplog.messages == []
    shutil.rmtree(run / "generator")
    (run / "checkpoints" / "step_00000060" / "generator.safetensors").write_bytes(b"")
    generator = load_generator(run)
    assert not any(torch.equal(final[name], tensor) for name, tensor in generator.state_dict().items())
    skipped, chosen = caplog.messages
    assert skipped.startswith(f"{run}/checkpoints/step_00000060 is skipped: generator.safetensors has 0 bytes")
    assert chosen == f"{run} has no final weights yet; this is from {run}/checkpoints/step_00000050"
    assert capsys.readouterr() == ("", "")
    for damaged in run.glob("checkpoints/*/generator.safetensors"):
        damaged.unlink()
    with pytest.raises(UserError, match=r"no checkpoint in .* is sound"):
        load_generator(run)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ""),
        ({"latent-dim": 50}, "other tensors than expected: layers.0.weight|has .* bytes"),
        ({"latent-dim": "x"}, "cannot be loaded"),
        ({"model": ["linear"]}, "does not say which networks made it"),
        ({"dtype": "int64"}, "cannot be loaded"),
    ],
)
def test_float64_checkpoint_is_a_float32_generator(options: dict[str, Any], expected: str, tmp_path: Path) -> None:
    """And one whose options do not fit its tensors is refused."""
    tensors = {"generator": dict(models.load("linear").Generator().double().state_dict())}
    config = {"model": "linear", "latent-dim": 100, "dtype": "float64"} | options
    checkpoint.write(tmp_path / "step_00000007", tensors, STATE | {"config": config})
    if expected:
        with pytest.raises(UserError, match=expected):
            load_generator(tmp_path / "step_00000007")
    else:
        generator = load_generator(tmp_path / "step_00000007")
        assert generator(torch.zeros(1, 100)).dtype == torch.float32
        assert not generator.training


@pytest.mark.slow
def test_restarted_job_does_not_go_back_again(run: Path, data_args: list[str]) -> None:
    """The launcher repeats the command; what the first try has done since is not thrown away."""
    args = [*data_args, "--resume", run / "checkpoints" / "step_00000040", "--max-steps", 600, "--log-every", 1]
    process = start_launcher(2, *args, "--checkpoint-every", 10, max_restarts=1)
    wait_until(lambda: last_step(run) in range(80, 500) and not (run / "checkpoints/step_00000040").exists(), process)
    ranks(process)[1].kill()
    words, _ = process.communicate(timeout=120)
    assert process.returncode == 0, words
    first, second = (int(step) for step in re.findall(r"going on from .*/step_(\d+)", words))
    assert (first, second >= 70) == (40, True)
    assert words.count("set aside") == 1


def test_one_run_folder_one_job(data_args: list[str], tmp_path: Path) -> None:
    process = start(*data_args, "--run-dir", tmp_path / "run", "--log-every", 1)
    wait_until(lambda: last_step(tmp_path / "run"), process)
    done = train_alone(*data_args, "--run-dir", tmp_path / "run", "--log-every", 1)
    process.kill()
    process.communicate()
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"process {process.pid} on " in done.stderr


@pytest.mark.slow
def test_full_disk_costs_checkpoints_only(data_args: list[str], tmp_path: Path) -> None:
    """On a real file system that is full, then has room again, then is full at the end."""
    with small_disk(tmp_path / "disk", "40m") as disk:
        args = ["--run-dir", disk / "run", "--checkpoint-every", 20, "--log-every", 1, "--max-steps", 1500]
        process = start(*data_args, *args)
        checkpoints, filler = disk / "run" / "checkpoints", disk / "filler"
        wait_until(lambda: len(list(checkpoints.glob("step_*"))) == 3, process)
        fill(filler)
        step = last_step(disk / "run")
        wait_until(lambda: last_step(disk / "run") > step or not room(disk), process)
        first = newest(checkpoints)
        filler.unlink()
        wait_until(lambda: newest(checkpoints) > first, process)
        fill(filler)
        words, _ = process.communicate(timeout=240)
        assert process.returncode == 3, words
        warning = re.search(r"warning: step_\d+ was not saved \(.*No space left.*\); last good checkpoint: (.*)", words)
        assert warning, words
        assert checkpoint.read_state(newest(checkpoints))["step"] < 1500
        assert not list(checkpoints.glob(".*"))
        filler.unlink()
        done = train_alone(*data_args, *args)
        assert done.returncode == 0, done.stderr
        assert checkpoint.read_state(newest(checkpoints))["step"] == 1500


@pytest.mark.parametrize("size", ["4k", "500k", "1m"])
def test_weights_that_do_not_fit_are_an_oserror(size: str, tmp_path: Path) -> None:
    """Wherever in their files the disk is full, what was there stays."""
    metadata = {"model": "linear", "dataset": "mnist", "recipe": "linear", "seed": "0", "step": "1"}
    with small_disk(tmp_path / "disk", size) as disk:
        (disk / "generator").mkdir()
        with pytest.raises(OSError, match="No space left"):
            save_weights(models.load("linear").Generator(), disk / "generator", metadata, "generator")
        assert [file.name for file in disk.iterdir()] == ["generator"]


def newest(checkpoints: Path) -> Path:
    return max(checkpoints.glob("step_*"))


def room(disk: Path) -> bool:
    return shutil.disk_usage(disk).free > 0


@pytest.mark.slow
def test_vanished_folder_costs_checkpoints_only(data_args: list[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = start(*data_args, "--run-dir", run, "--checkpoint-every", 100, "--log-every", 1, "--max-steps", 1500)
    wait_until(lambda: last_step(run) > 150, process)
    run.rename(tmp_path / "away")
    words, _ = process.communicate(timeout=120)
    assert process.returncode == 3, words
    assert re.search(r"warning: step_\d+ was not saved \(.*No such file", words), words
    assert "Traceback" not in words
    assert not run.exists()


def test_no_pickle_anywhere(run_60: Path) -> None:
    for file in [*run_60.rglob("*"), *ROOT.glob("gan_dist/**/*")]:
        if file.is_file():
            start_bytes = file.read_bytes()[:4]
            assert not start_bytes.startswith((b"\x80", b"PK")), f"{file} is a pickle or a zip of one"
            assert file.suffix not in (".pt", ".pth", ".pkl", ".ckpt", ".bin")
    for file in run_60.rglob("*.safetensors"):
        load_file(file)
    calls = re.compile(r"\b(pickle|torch\.(save|load)|save_state|load_state|gather_object|broadcast_object)\b")
    for file in ROOT.glob("gan_dist/**/*.py"):
        code = re.sub(r'""".*?"""|#.*', "", file.read_text(), flags=re.S)
        assert not calls.search(code), file
