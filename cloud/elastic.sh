#!/usr/bin/env bash
# A run on machines that come and go; the batch, its images and the result stay. From a clone with .venv:
#   cloud/elastic.sh meet [PORT]                      on a machine that stays (it needs no GPU): where the others meet
#   cloud/elastic.sh join HOST[:PORT] OPTIONS         on each machine that trains, now or later; train.py's options, with
#                                                     the same --run-dir, on storage that all of them share
# NODES=1:64 says how few and how many machines train at once. SIGTERM or Ctrl-C on a machine saves and takes it out.
# The machines trust each other: whoever reaches the port can end the run. docs/elastic.md says what was measured.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${VENV:-$PWD/.venv}/bin/python
PORT=29400

fail() {
    echo "elastic.sh: $1" >&2
    exit 2
}

meet() {
    exec "$python" -c 'import sys, time
from torch.distributed import TCPStore
port = sys.argv[1]
try:
    store = TCPStore("0.0.0.0", int(port), is_master=True, wait_for_workers=False)
except (RuntimeError, ValueError, TypeError):
    print(f"elastic.sh: port {port} cannot be opened; name another", file=sys.stderr)
    sys.exit(2)
print(f"machines can meet at port {port}", flush=True)
while True:
    time.sleep(3600)' "${1:-$PORT}"
}

join() {
    local place=$1 gpus processes threads
    [[ $place == *:* ]] || place=$place:$PORT
    [[ " ${*:2}" == *" --run-dir"* ]] || fail "needs --run-dir, a folder that all machines share"
    [[ " ${*:2}" != *" --resume"* ]] ||
        fail "--resume is for one start, and each machine that joins is one: run train.py with it once, then join"
    # What is wrong with the options is told here, in one line.
    "$python" gan_dist/train.py --print-config "${@:2}" >/dev/null
    gpus=$("$python" -W ignore -m gan_dist.distributed.gpus)
    processes=$((gpus > 0 ? gpus : 1))
    threads=$(($(nproc) / processes))
    export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((threads > 1 ? threads : 1))}
    # A store of each meeting's own: torch would let those who stay look for the one of a machine that is gone.
    export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
    # Every machine that leaves costs the others one of their restarts. A machine that is silent for 10 seconds is taken
    # for gone; 5 seconds after the last one has come the run goes on.
    exec "$python" -m torch.distributed.run --nnodes "${NODES:-1:64}" --nproc-per-node "$processes" \
        --rdzv-backend c10d --rdzv-endpoint "$place" --rdzv-id gan_dist --max-restarts 1000 --monitor-interval 1 \
        --rdzv-conf is_host=0,last_call_timeout=5,keep_alive_interval=2,keep_alive_max_attempt=5 \
        gan_dist/train.py "${@:2}"
}

[[ -x $python ]] || fail "no $python; run ./launch.sh --print-config once, or set VENV=/path"
case ${1:-} in
meet) meet "${@:2}" ;;
join)
    [[ ${2:-} && $2 != -* ]] || fail "join HOST[:PORT] OPTIONS: which HOST runs 'cloud/elastic.sh meet'?"
    join "${@:2}"
    ;;
*) fail "meet [PORT], or join HOST[:PORT] OPTIONS" ;;
esac
