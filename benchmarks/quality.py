"""The figures of runs at their ends, in one table: python benchmarks/quality.py RUN [RUN ...]

For the table of docs/quality.md: accelerate launch gan_dist/train.py --recipe mnist --epochs 2 --seed 1 --run-dir RUN
"""

import argparse
from pathlib import Path

from gan_dist.evaluation.features import load_extractor
from gan_dist.storage.metrics_file import read_rows

FIGURES = ("precision", "recall", "digit_kl", "as_asked")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--dataset", default="mnist", help="whose extractor knows the floor [%(default)s]")
    options = parser.parse_args()
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
