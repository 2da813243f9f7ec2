#!/usr/bin/env bash
# ./launch.sh [train options]          makes .venv if there is none, then trains on all GPUs, or on the CPU without one
# ./launch.sh --background [options]   the same, out of the terminal's reach; writes runs/launch.log
# ./launch.sh status | stop            of what goes on in the background; stop saves a checkpoint first
# ./launch.sh test [pytest options]    the same set-up with the test tools, then lints, checks types and tests
# ./launch.sh test --quick             of the tests only those of tests/unit that take less than two seconds
# Needs python3 >= 3.10 (PYTHON=... names another) and a package index, nothing else.
# VENV=/path takes an environment that holds everything already, as it is: nothing is installed into it.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv=${VENV:-$root/.venv}
bin=$venv/bin

fail() {
    echo "launch.sh: $*" >&2
    exit 2
}

find_python() {
    local python found=""
    for python in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.10}; do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            echo "$python"
            return
        fi
        found+="$("$python" --version 2>/dev/null || true) "
    done
    fail "needs Python 3.10 or newer and found ${found:-none}; install one, or name it: PYTHON=/path/to/python3 ./launch.sh"
}

# install EXTRAS: nothing into a VENV that was given, or if these extras of this pyproject.toml are there already
install() {
    local stamp=$venv/.installed-$1 wanted python
    if [[ ${VENV:-} ]]; then
        [[ -x $bin/python && -x $bin/accelerate ]] ||
            fail "VENV=$VENV: has no bin/python with accelerate; name another, or leave VENV out to have .venv made"
        export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH} # this code, not a gan_dist that may be installed there
        return
    fi
    wanted=$(cksum <"$root/pyproject.toml")
    [[ -f $stamp && $(<"$stamp") == "$wanted" ]] && return
    if [[ ! -x $bin/python ]] || ! "$bin/python" -m pip --version >/dev/null 2>&1; then
        python=$(find_python)
        "$python" -c 'import ensurepip, venv' 2>/dev/null ||
            fail "$python has no venv module; on Debian and Ubuntu: apt install python3-venv"
        "$python" -m venv --clear "$venv" || fail "cannot make $venv (see above)"
    fi
    echo "launch.sh: installing into $venv, once; torch alone can be some GB" >&2
    "$bin/python" -m pip install --quiet --disable-pip-version-check --editable "${root}[$1]" ||
        fail "installing failed (see above); a package index must be in reach, and the disk must have room"
    echo "$wanted" >"$stamp"
}

run_tests() {
    install mnist-5k,test
    cd "$root"
    "$bin/ruff" check .
    "$bin/ruff" format --check .
    "$bin/mypy"
    "$bin/lint-imports" --no-cache
    if [[ ${1:-} == --quick ]]; then
        set -- tests/unit -m 'not slow and not seconds' "${@:2}"
    fi
    exec "$bin/python" -m pytest --numprocesses 2 --dist worksteal "$@"
}

# Whether some file of a GPU's driver is there: NVIDIA's, those of its small boards, of WSL, AMD's.
has_gpu_driver() {
    local file
    for file in /dev/nvidiactl /dev/nvidia0 /dev/nvhost-gpu /dev/nvmap /dev/dxg /dev/kfd; do
        [[ ! -e $file ]] || return 0
    done
    command -v nvidia-smi >/dev/null
}

# prepare OPTIONS: finds the command, or says in one line what is wrong with the machine or the options
prepare() {
    local num_gpus=0 processes=1 config=gpu_1 options=() threads
    if has_gpu_driver; then # torch knows which GPUs it can use, but takes two seconds to say so: options first
        "$bin/python" "$root/gan_dist/train.py" "$@" --print-config >/dev/null
        num_gpus=$("$bin/python" -W ignore -m gan_dist.distributed.gpus)
    fi
    if ((num_gpus > 1)); then
        config=gpu_all processes=$num_gpus options=(--num_processes "$num_gpus")
    fi
    # What is wrong with the options or the data set is told here, in one line, not once more by the launcher.
    WORLD_SIZE=$processes "$bin/python" -m gan_dist.download "$@" >/dev/null

    threads=$(($(nproc) / processes))
    ((num_gpus == 0 || threads <= 8)) || threads=8 # beside a GPU the CPU has little to do; not measured yet
    export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((threads > 1 ? threads : 1))}
    if ((num_gpus == 0)); then # a launcher would import torch once more, only to start this
        command=(env ACCELERATE_USE_CPU=true "$bin/python")
    else
        command=("$bin/accelerate" launch "${options[@]}" --config_file "$root/accelerate_configs/$config.yaml")
    fi
    command+=("$root/gan_dist/train.py" "$@")
}

# run: prints the line that trains and runs it
run() {
    local started signal=0 code=0
    # A log that is full or closed costs words, not the run.
    echo "OMP_NUM_THREADS=$OMP_NUM_THREADS $(printf '%q ' "${command[@]}")" >&2 || true
    # Ctrl-C and SIGTERM are for train.py, which saves and ends; a launcher that dies of them would leave it alone.
    # Ctrl-C reaches it from the terminal; a launcher ignores it, like everything that is started with `&`.
    "${command[@]}" &
    started=$!
    trap 'signal=2' INT
    trap 'if ((signal)); then end_launched kill; else signal=15; end_launched terminate; fi' TERM
    while kill -0 "$started" 2>/dev/null; do # a signal ends `wait` before that has ended
        code=0
        wait "$started" || code=$?
    done
    ((signal == 0)) || code=$((128 + signal))
    [[ -t 2 ]] || echo "launch.sh: ended with exit code $code, $(date)" >&2 || true
    exit "$code"
}

# end_launched terminate: SIGTERM to train.py, or to a launcher that has not started it yet
# end_launched kill: SIGKILL to all; workers of several processes are in sessions of their own, no group has them
end_launched() {
    "$bin/python" -c 'import contextlib, psutil, sys
started, how = psutil.Process(int(sys.argv[1])), sys.argv[2]
workers = started.cmdline()[2:3] == ["launch"] and started.children()  # of accelerate; train.py has other children
for process in workers or [started] if how == "terminate" else [started, *started.children(recursive=True)]:
    with contextlib.suppress(psutil.NoSuchProcess):
        getattr(process, how)()' "$started" "$1" || true
}

# shellcheck source=launch_background.sh
source "$root/launch_background.sh"
case ${1:-} in
test) run_tests "${@:2}" ;;
status | stop)
    "$1"
    exit
    ;;
esac
background="" options=()
for word in "$@"; do
    if [[ $word == --background ]]; then background=1; else options+=("$word"); fi
done
set -- "${options[@]}"
install mnist-5k
case " $* " in
*" -h "* | *" --help "* | *" --print-config "*) exec "$bin/python" "$root/gan_dist/train.py" "$@" ;;
esac
if (($# == 0)) && ! "$bin/python" -m gan_dist.download; then
    {
        echo "=================================================================================="
        echo "launch.sh: NO MNIST (see above). Training on mnist-5k: 5,000 of its 60,000 digits."
        echo "=================================================================================="
    } >&2
    set -- --recipe mnist-5k
fi
prepare "$@"
if [[ $background ]]; then
    start_background "$@"
else
    run
fi
