"""The figures of runs, in one table: at their ends, or the Frechet distance as they grew.

python benchmarks/quality.py RUN [RUN ...] [--at 3 20 50]

For the tables of docs/quality.md: accelerate launch gan_dist/train.py --recipe mnist --epochs 2 --seed 1 --run-dir RUN
"""

import argparse
from pathlib import Path

from gan_dist.evaluation.features import load_extractor
from gan_dist.storage.metrics_file import read_rows

FIGURES = ("precision", "recall", "digit_kl", "as_asked")


def print_growth(runs: list[Path], epochs: list[int]) -> None:
    """The Frechet distance after some epochs, and where it was best. Each run was evaluated once an epoch."""
    print("| run | " + " | ".join(map(str, epochs)) + " | best (epoch) |")
    print("|---" * (len(epochs) + 2) + "|")
    for run in runs:
        rows = [row for row in read_rows(run / "metrics.jsonl") if "eval_frechet_distance" in row]
        distances = [row["eval_frechet_distance"] for row in rows]
        then = [f"{distances[epoch - 1]:.2f}" if epoch <= len(distances) else "-" for epoch in epochs]
        print(f"| {run.name} | {' | '.join(then)} | {min(distances):.2f} ({distances.index(min(distances)) + 1}) |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--dataset", default="mnist", help="whose extractor knows the floor [%(default)s]")
    parser.add_argument("--at", nargs="+", type=int, metavar="EPOCH", help="print the Frechet distance after these")
    options = parser.parse_args()
    if options.at:
        print_growth(options.runs, options.at)
        return
    extractor = load_extractor(options.dataset)
    assert extractor is not None
    floor = extractor.splits["test"].floor
    print("| run | images | Frechet distance | times the floor | " + " | ".join(FIGURES) + " |")
    print("|---" * (len(FIGURES) + 4) + "|")
    for run in options.runs:
        last = [row for row in read_rows(run / "metrics.jsonl") if "eval_frechet_distance" in row][-1]
        distance = last["eval_frechet_distance"]
        figures = [f"{last['eval_' + name]:.4f}" if "eval_" + name in last else "-" for name in FIGURES]
        times = distance / floor["frechet_distance"]
        print(f"| {run.name} | {last['images_seen']:,} | {distance:.3f} | {times:.2f} | {' | '.join(figures)} |")
    known = [f"{floor[name]:.4f}" for name in FIGURES]
    print(f"| real images | | {floor['frechet_distance']:.3f} | 1 | {' | '.join(known)} |")


if __name__ == "__main__":
    main()
