"""Seconds of training until the Frechet distance is some multiple of that of real images, for each recipe.

python benchmarks/time_to_quality.py [--recipes mnist conv ...] [--minutes 15] [--data-dir DIR] [train.py's options]:
the table of README.md. Recipes run one after the other, each for its epochs or those named here, or the minutes, with
OMP_NUM_THREADS as it is set. The time of evaluations does not count.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gan_dist.config.options import Config
from gan_dist.config.parsing import read_recipe
from gan_dist.evaluation.floor import floor_of
from gan_dist.storage.metrics_file import read_rows
from gan_dist.tracking.summary import seconds_of_training

ROOT = Path(__file__).resolve().parent.parent
MULTIPLES = (1000, 100, 10, 5, 2.5)
RECIPES = {  # options of train.py; learning rates fall to the end of the epochs, so a short run has its own
    "mnist": ["--epochs", "2", "--eval-every", "0.25"],
    "mnist-5k": ["--eval-every", "4"],
    "mnist-unlabelled": ["--epochs", "2", "--eval-every", "0.25"],
    "fashion-mnist": ["--epochs", "5", "--eval-every", "0.5"],
    "linear-r1": ["--eval-every", "1"],
    "linear": ["--eval-every", "1"],
    "conv": ["--epochs", "1", "--eval-every", "0.25"],
}


def train(recipe: str, options: list[str], minutes: float) -> list[tuple[float, float]]:
    """Train for some minutes -> (seconds, Frechet distance) of each evaluation."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(ROOT / "gan_dist" / "train.py"), "--recipe", recipe, "--run-dir", folder]
        command += ["--tracker", "none", "--log-every", "100", "--sample-every", "100000", *options]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while process.poll() is None:
            seen = seconds_of_training(read_rows(Path(folder, "metrics.jsonl")))
            if seen and seen[-1][0] > minutes * 60:
                process.kill()
            time.sleep(0.2)
        process.wait()
        return seconds_of_training(read_rows(Path(folder, "metrics.jsonl")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES), choices=list(RECIPES))
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--data-dir", default="data")
    options, more = parser.parse_known_args()
    print("| recipe | " + " | ".join(f"{times:g} times" for times in MULTIPLES) + " | at the end |")
    print("|---" * (len(MULTIPLES) + 2) + "|")
    for recipe in options.recipes:
        floor = floor_of(read_recipe(recipe, Config()).data.dataset)["frechet_distance"]
        seen = train(recipe, ["--data-dir", options.data_dir, *RECIPES[recipe], *more], options.minutes)
        first = [next((f"{at:.1f} s" for at, figure in seen if figure <= times * floor), "-") for times in MULTIPLES]
        last = f"{seen[-1][1] / floor:.3g} times after {seen[-1][0]:.1f} s" if seen else "-"
        print(f"| {recipe} | {' | '.join(first)} | {last} |", flush=True)


if __name__ == "__main__":
    main()
