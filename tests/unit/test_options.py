"""What options say of themselves holds for a run that is resumed."""

import json
from pathlib import Path

import pytest

from gan_dist.config.options import NOT_SAID, RULES, Config, Rule
from gan_dist.config.resolve import parse
from gan_dist.errors import UserError
from gan_dist.training.mathematics import check_record, check_same_mathematics
from tests.conftest import ROOT


def test_every_option_has_a_rule() -> None:
    assert Config().to_dict().keys() | {"run-dir", "resume"} == RULES.keys()


def test_resumed_run_may_change_what_is_free() -> None:
    recorded = Config().to_dict()
    free = [
        "--recipe",
        "linear",
        "--max-steps",
        "7",
        "--log-every",
        "3",
        "--tracker",
        "none",
        "--data-dir",
        "elsewhere",
    ]
    check_same_mathematics(recorded, parse(free))
    with pytest.raises(UserError, match=r"--seed 1 \(was 0\), --lr-g 0.1 \(was 0.0002\): a resumed run keeps its math"):
        check_same_mathematics(recorded, parse([*free, "--seed", "1", "--lr-g", "0.1"]))


def test_option_that_an_old_run_does_not_record(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keeps the value that it had then, whatever the default is now."""
    monkeypatch.setitem(RULES, "lr-g", Rule(before=1e-3))
    recorded = Config().to_dict()
    del recorded["lr-g"]
    (tmp_path / "config.yaml").write_text("lr-d: 0.0002\n")
    for check in (lambda c: check_same_mathematics(recorded, c), lambda c: check_record(tmp_path / "config.yaml", c)):
        check(parse(["--recipe", "linear", "--lr-g", "1e-3"]))
        with pytest.raises(UserError, match=r"--lr-g 0.0002 \(was 0.001\)"):
            check(parse(["--recipe", "linear"]))


def test_none_is_a_value_that_an_option_may_have_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES, "lr-g", Rule(before=None))
    recorded = Config().to_dict()
    del recorded["lr-g"]
    with pytest.raises(UserError, match=r"--lr-g 0.0002 \(was None\)"):
        check_same_mathematics(recorded, Config())


def test_newer_option_says_what_was_before_it() -> None:
    state = json.loads((ROOT / "tests" / "data" / "checkpoint_format_1" / "state.json").read_text())
    for name in Config().to_dict():
        said = RULES[name].before is not NOT_SAID
        if name in state["config"]:
            assert not said, f"--{name} is recorded by every run: its Rule needs no `before`"
        elif not RULES[name].is_free:
            assert said, f"--{name}: say in its Rule what older runs computed with, before=..., or is_free=True"


def test_file_of_networks_may_move(tmp_path: Path) -> None:
    """But neither its name nor a module may change."""
    recorded = Config().to_dict() | {"model": "somewhere/mine.py"}
    (tmp_path / "config.yaml").write_text("model: somewhere/mine.py\n")
    for name in ("mine.py", "other.py"):
        (tmp_path / name).touch()
    for check in (lambda c: check_same_mathematics(recorded, c), lambda c: check_record(tmp_path / "config.yaml", c)):
        check(parse(["--recipe", "linear", "--model", str(tmp_path / "mine.py")]))
        for other in (str(tmp_path / "other.py"), "linear"):
            with pytest.raises(UserError, match=rf"--model {other} \(was somewhere/mine.py\)"):
                check(parse(["--recipe", "linear", "--model", other]))
    with pytest.raises(UserError, match=r"\(was tests.networks.mixture\)"):
        check_same_mathematics(
            recorded | {"model": "tests.networks.mixture"},
            parse(["--recipe", "linear", "--model", "tests.networks.dcgan"]),
        )


def test_zero_is_a_seed_alone() -> None:
    assert parse(["--seed", "0"]).run.seed == 0
    with pytest.raises(UserError, match="--seed -1: must be 0 or greater"):
        parse(["--seed", "-1"])
    with pytest.raises(UserError, match=r"--lr-g 0\.0: must be greater than 0"):
        parse(["--lr-g", "0"])
