# shellcheck shell=bash
# `--background`, `status` and `stop` of launch.sh, which sources this file.
# shellcheck disable=SC2154 # root is set there
log=$root/runs/launch.log
pid_file=$root/runs/launch.pid # locked as long as the run lives, however it ends

# start_background OPTIONS: this script once more, in a session of its own, which no closed terminal ends
start_background() {
    type flock setsid >/dev/null 2>&1 || fail "--background: needs flock and setsid; install util-linux"
    mkdir -p "$root/runs"
    exec 9>>"$pid_file"
    flock --nonblock 9 || fail "--background: a run goes on already (./launch.sh status); end it with ./launch.sh stop"
    echo "launch.sh: $* ($(date))" >>"$log"
    setsid "$root/launch.sh" "$@" </dev/null >>"$log" 2>&1 &
    echo $! >"$pid_file"
    echo "launch.sh: process $! trains in the background; ./launch.sh status, ./launch.sh stop, tail -f $log" >&2
}

in_background() {
    [[ -s $pid_file ]] && ! flock --nonblock "$pid_file" true
}

status() {
    if in_background; then
        echo "process $(<"$pid_file") trains in the background; the last lines of $log:"
    elif [[ -s $log ]]; then
        echo "nothing trains in the background; the last lines of $log:"
    else
        echo "nothing trains in the background"
        return
    fi
    tail -n 3 "$log"
}

stop() {
    local pid second
    in_background || fail "stop: nothing trains in the background"
    pid=$(<"$pid_file")
    kill -TERM "$pid" 2>/dev/null ||
        fail "stop: process $pid is gone, what it started is not; find that with fuser $pid_file"
    for ((second = 0; second < 60; second++)); do
        sleep 1
        if ! in_background; then
            status
            return
        fi
    done
    kill -TERM "$pid" # the second one kills
    fail "stop: not done 60 s after SIGTERM, killed; the same --run-dir goes on from its newest checkpoint"
}
