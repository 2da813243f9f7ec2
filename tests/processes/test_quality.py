"""Evaluation while a run trains."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import gan_dist
from benchmarks.world_size import largest_difference
from gan_dist.storage.metrics_file import read_rows
from tests.conftest import train


@pytest.mark.slow
def test_evaluation_changes_nothing_and_resumes(data_args: list[str], tmp_path: Path) -> None:
    """A run that is evaluated has the weights of one that is not; its best generator survives a stop and a resume."""
    args = [*data_args, "--recipe", "mnist", "--lr-schedule", "constant", "--batch-size", 16]
    args += ["--checkpoint-every", 20, "--eval-images", 300]
    quiet = train(1, tmp_path / "quiet", *args, "--max-steps", 60)
    often = ["--eval-every", 0.004]
    whole = train(1, tmp_path / "whole", *args, *often, "--max-steps", 60)
    assert largest_difference(quiet, whole) == 0
    train(1, tmp_path / "run", *args, *often, "--max-steps", 40)
    run = train(1, tmp_path / "run", *args, *often, "--max-steps", 60)
    rows = []
    for folder in (whole, run):
        evaluated = [row for row in read_rows(folder / "metrics.jsonl") if "eval_recall" in row]
        rows.append({row["step"]: row["eval_frechet_distance"] for row in evaluated})
    assert len(rows[0]) > 3
    assert {step: figure for step, figure in rows[1].items() if step in rows[0]} == rows[0]
    best = [sorted((folder / "best").iterdir())[-1] for folder in (whole, run)]
    if best[0].name == best[1].name:  # the end of the first part of the run had an evaluation of its own
        a, b = (load_file(folder / "model.safetensors") for folder in best)
        assert all(torch.equal(a[name], b[name]) for name in a)
    generator = gan_dist.load_generator(whole, which="best")
    assert generator(torch.zeros(2, 64), torch.tensor([1, 2])).shape == (2, 1, 28, 28)
    assert generator(torch.zeros(2, 64)).shape == (2, 1, 28, 28)  # draws its labels itself
