"""How long a person waits: `python benchmarks/startup.py [--data-dir DIR] [--times 5] [train.py's options]`.

Seconds from a command to its first step, or to the line that says what is wrong; medians, with files in the cache of
the operating system. And what the start of train.py consists of.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.world_size import ROOT, digits, launch_line

STEP, ERROR = "step 1/", "error: "
MODULES = ("torch", "accelerate", "gan_dist.training.trainer", "torch._dynamo")


def seconds_until(words: str, command: list[str], **env: str) -> float:
    """Until a line of the output starts with these words; then the command is ended."""
    start = time.perf_counter()
    with subprocess.Popen(
        command, cwd=ROOT, env=os.environ | env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout
        said = []
        for line in process.stdout:
            said.append(line)
            if line.startswith(words):
                taken = time.perf_counter() - start
                process.stdout.read()
                return taken
    raise RuntimeError("".join(said))


def seconds_of_imports() -> dict[str, float]:
    """Of each module after those before it, as a start of train.py imports them; the last one only for DDP."""
    program = "import importlib, sys, time\nfor name in sys.argv[1:]:\n"
    program += "    start = time.perf_counter()\n    importlib.import_module(name)\n"
    program += "    print(time.perf_counter() - start)\n"
    done = subprocess.run(
        [sys.executable, "-c", program, *MODULES], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return dict(zip(MODULES, map(float, done.stdout.split()), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", default="data")
    parser.add_argument("--times", type=int, default=5)
    options, more = parser.parse_known_args()
    train, accelerate = [sys.executable, "gan_dist/train.py"], launch_line("cpu_1", [], "gan_dist/train.py")
    launch_sh = ["./launch.sh"]
    env = {"PYTHONUNBUFFERED": "1", "VENV": str(Path(sys.executable).parent.parent)}
    args = [*digits(options.data_dir), "--max-steps", "1", "--eval-every", "0", "--tracker", "none", *more]
    print("| command | to its first step, s | a wrong option told after, s |\n|---|---|---|")
    for words, command in (("train.py", train), ("accelerate launch train.py", accelerate), ("./launch.sh", launch_sh)):
        times, wrong = [], []
        for _ in range(options.times):
            with tempfile.TemporaryDirectory() as folder:
                times.append(seconds_until(STEP, [*command, *args, "--run-dir", folder], **env))
            wrong.append(seconds_until(ERROR, [*command, *args, "--data-dirr", "x"], **env))
        print(f"| {words} | {statistics.median(times):.1f} | {statistics.median(wrong):.2f} |", flush=True)
    imports = [seconds_of_imports() for _ in range(options.times)]
    print("\n| import, after those above | s |\n|---|---|")
    for name in MODULES:
        print(f"| {name} | {statistics.median(each[name] for each in imports):.2f} |")


if __name__ == "__main__":
    main()
