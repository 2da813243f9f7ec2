#!/usr/bin/env bash
# ./launch.sh [train options]    makes .venv if there is none, then trains on what this machine has
# ./launch.sh test [pytest options]    the same with the test tools, then lints, checks types and tests
# Needs python3 >= 3.10 (PYTHON=... names another) and a package index, nothing else.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv=$root/.venv
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

# install EXTRAS: nothing if the same extras of the same pyproject.toml are installed already
install() {
    local stamp=$venv/.installed-$1 wanted python
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
    exec "$bin/python" -m pytest "$@"
}

# run_train OPTIONS: prints the `accelerate launch` line and runs it
run_train() {
    local num_gpus config=cpu_1 processes=1 options=()
    num_gpus=$("$bin/python" -c 'import torch; print(torch.cuda.device_count())')
    if ((num_gpus == 1)); then
        config=gpu_1
    elif ((num_gpus > 1)); then
        config=gpu_all processes=$num_gpus options=(--num_processes "$num_gpus")
    else
        options=(--quiet) # no traceback of the launcher below the error that train.py has told
    fi
    # What is wrong with the options is told here, in one line, not once more by the launcher.
    WORLD_SIZE=$processes "$bin/python" "$root/gan_dist/train.py" --print-config "$@" >/dev/null

    export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$(($(nproc) / processes > 1 ? $(nproc) / processes : 1))}
    local command=("$bin/accelerate" launch "${options[@]}"
        --config_file "$root/accelerate_configs/$config.yaml" "$root/gan_dist/train.py" "$@")
    echo "OMP_NUM_THREADS=$OMP_NUM_THREADS $(printf '%q ' "${command[@]}")" >&2
    # Ctrl-C is for train.py, which saves and ends; a launcher that dies of it would leave it alone.
    local interrupted=0 code=0
    trap 'interrupted=1' INT
    (trap '' INT && exec "${command[@]}") || code=$?
    ((interrupted)) && exit 130
    exit "$code"
}

if [[ ${1:-} == test ]]; then
    run_tests "${@:2}"
fi
install mnist-5k
case " $* " in
*" -h "* | *" --help "* | *" --print-config "*) exec "$bin/python" "$root/gan_dist/train.py" "$@" ;;
esac
if (($# == 0)) && ! "$bin/python" -m gan_dist.data; then
    {
        echo "=================================================================================="
        echo "launch.sh: NO MNIST (see above). Training on mnist-5k: 5,000 of its 60,000 digits."
        echo "=================================================================================="
    } >&2
    set -- --dataset mnist-5k --max-steps 18740
fi
run_train "$@"
