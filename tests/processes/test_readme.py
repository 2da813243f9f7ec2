"""The README's example of a network in one file trains; every metric is in the docs."""

import json
import re
import subprocess
import sys
from pathlib import Path

from gan_dist.storage.metrics_file import read_rows
from gan_dist.tracking.curves import save_curves
from gan_dist.tracking.names import METRICS, dashboard_name
from tests.conftest import ROOT, TRAIN
from tests.harness import forked

README = (ROOT / "README.md").read_text()


def test_network_in_one_file(data_args: list[str], tmp_path: Path) -> None:
    code = next(block for block in re.findall(r"```python\n(.*?)```", README, re.S) if "class Generator" in block)
    (tmp_path / "shallow.py").write_text(code)
    train = [TRAIN, *data_args, "--model", "shallow.py", "--model-args", "hidden=16", "--max-steps", 3]
    done = forked.run(*train, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    for one_row in (["--batch-size", "1"], ["--batch-size", "4", "--accumulate", "4"]):  # BatchNorm has no use for it
        done = forked.run(*train, *one_row, folder=tmp_path)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert "a single row to a part of the batch; take a larger --batch-size or a smaller --accum" in done.stderr
    (run,) = (tmp_path / "runs").glob("linear-*")
    load = "import sys, gan_dist; run = sys.argv[1]\n"
    load += "print(gan_dist.load_generator(run, model=f'{run}/model.py').layers[0])"
    done = subprocess.run([sys.executable, "-c", load, str(run)], cwd=ROOT, capture_output=True, text=True)
    assert "Linear(in_features=100, out_features=16, bias=False)" in done.stdout, done.stderr


def test_docs_have_every_metric(run_200: Path) -> None:
    text = (ROOT / "docs" / "tracking.md").read_text()
    for metric in METRICS:
        assert f"| `{metric.column}` | `{metric.name}` | {metric.meaning} |\n" in text
    for row in read_rows(run_200 / "metrics.jsonl"):
        assert row.keys() <= {metric.column for metric in METRICS}


def test_row_of_any_columns_is_drawn_and_shown(tmp_path: Path) -> None:
    """A run of another version, or with a metric that no table knows."""
    rows = [{"step": 1, "loss_d": 1.0}, {"step": 2, "wit": 3}]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    save_curves(tmp_path / "metrics.jsonl", tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 1000
    assert (dashboard_name("loss_d"), dashboard_name("wit")) == ("D/loss", "wit")
