"""What options say of themselves holds for a run that is resumed."""

from pathlib import Path

import pytest

from gan_dist.config.options import RULES, Config, Rule
from gan_dist.config.resolve import parse
from gan_dist.errors import UserError
from gan_dist.training.mathematics import check_record, check_same_mathematics


def test_every_option_has_a_rule() -> None:
    assert Config().to_dict().keys() | {"run-dir", "resume"} == RULES.keys()


def test_resumed_run_may_change_what_is_free() -> None:
    recorded = Config().to_dict()
    free = ["--max-steps", "7", "--log-every", "3", "--tracker", "none", "--data-dir", "elsewhere"]
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
        check(parse(["--lr-g", "1e-3"]))
        with pytest.raises(UserError, match=r"--lr-g 0.0002 \(was 0.001\)"):
            check(parse([]))


def test_zero_is_a_seed_alone() -> None:
    assert parse(["--seed", "0"]).run.seed == 0
    with pytest.raises(UserError, match="--seed -1: must be 0 or greater"):
        parse(["--seed", "-1"])
    with pytest.raises(UserError, match=r"--lr-g 0\.0: must be greater than 0"):
        parse(["--lr-g", "0"])
