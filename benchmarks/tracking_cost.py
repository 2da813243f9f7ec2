"""What W&B costs `linear` at the default intervals: `python benchmarks/tracking_cost.py [--data-dir DIR]`.

Runs of three epochs without a tracker and with wandb (offline), in turns, on one CPU thread; the speed of a run is
the median over its rows but the first, and the ratio that of the medians over the runs.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from gan_dist.storage.metrics_file import read_rows

ROOT = Path(__file__).resolve().parent.parent


def speed(tracker: str, data_dir: str) -> float:
    """Images a second of one run."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(ROOT / "gan_dist" / "train.py"), "--tracker", tracker, "--run-dir", folder]
        command += ["--epochs", "3", "--data-dir", data_dir]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "WANDB_MODE": "offline"}
        subprocess.run(command, env=environment, check=True, capture_output=True)
        return statistics.median(row["images_per_second"] for row in read_rows(Path(folder, "metrics.jsonl"))[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", default="data")
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    speeds: dict[str, list[float]] = {"none": [], "wandb": []}
    for _ in range(options.pairs):
        for tracker, found in speeds.items():
            found.append(speed(tracker, options.data_dir))
    none, with_wandb = (statistics.median(found) for found in speeds.values())
    print(f"images/s: none {none:.0f}, wandb {with_wandb:.0f}; slowdown {none / with_wandb - 1:.1%}")
    print({tracker: [round(x) for x in found] for tracker, found in speeds.items()})


if __name__ == "__main__":
    main()
