"""The step over networks whose weights torch spreads over processes: docs/scaling.md."""

import json

import pytest

from tests.conftest import launch


@pytest.mark.slow
def test_a_step_over_sharded_networks() -> None:
    done = launch(2, "tests/programs/sharded.py")
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["difference"] < 1e-10
    # G gathers its weights, D twice; gradients of D travel for D's update alone.
    assert found["messages"] == {"c10d::_allgather_base_": 3, "c10d::_reduce_scatter_base_": 2}
