#!/usr/bin/env bash
# How fast each precision, batch and number of processes is on the GPUs of this machine: one table, in under 10 minutes.
#   benchmarks/gpu.sh [options]   --help lists them; the table is printed and written to runs/gpu.md
# Sets up as launch.sh does, VENV=/path included.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
./launch.sh --print-config >/dev/null
exec "${VENV:-.venv}/bin/python" -m benchmarks.gpu "$@"
