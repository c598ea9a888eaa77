# Results, processes and waiting, for every part of the interop test. Sourced, never run.

passed=0 failed=0 skipped=0
declare -A pid_of=() # what we started, and nothing else is ever ended

pass() { passed=$((passed + 1)); echo "ok    $*"; }
fail() { failed=$((failed + 1)); echo "FAIL  $*"; }

# A part that cannot run is never silent, and in CI it is a failure: nobody reads the log of a green build.
skip() {
    if [[ ${CI:-} == true ]]; then
        fail "$* (skipped; CI=true allows no skip)"
    else
        skipped=$((skipped + 1)); echo "SKIP  $*"
    fi
}

# The last line and the exit code. Nothing passed is no success, unless what was missing has been said.
summary() {
    local line="$passed passed, $failed failed"
    ((skipped == 0)) || line+=", $skipped skipped"
    echo "$line"
    ((failed == 0 && passed + skipped > 0))
}

# check TEXT COMMAND...: one counted result; what the command prints goes to checks.log.
check() {
    local text=$1; shift
    echo "== $text: $*" >>"$work/checks.log"
    if "$@" >>"$work/checks.log" 2>&1; then pass "$text"; else fail "$text"; fi
}

# start NAME COMMAND...: in the background, output to NAME.log, pid kept under NAME.
start() {
    local name=$1; shift
    "$@" >>"$work/$name.log" 2>&1 </dev/null &
    pid_of[$name]=$!
}

running() { kill -0 "${pid_of[$1]}" 2>/dev/null; }

# stop_all: ask, wait up to 3 s, insist. CONT first: a process that a check has frozen cannot end.
stop_all() {
    local pid pids=("${pid_of[@]}")
    ((${#pids[@]})) || return 0
    for pid in "${pids[@]}"; do
        if kill -CONT "$pid" 2>/dev/null; then kill -TERM "$pid" || true; fi
    done
    for _ in {1..30}; do
        kill -0 "${pids[@]}" 2>/dev/null || break
        sleep 0.1
    done
    for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
}

# stop NAME: one of them, and waits for its end.
stop() {
    kill -TERM "${pid_of[$1]}"
    wait "${pid_of[$1]}" || true
    unset "pid_of[$1]"
}

# conclude: whatever way a test ends: the processes first, then the count. An error of the test itself is not a pass.
completed=no
conclude() {
    [[ $completed == yes ]] || fail "the test did not run to its end"
    stop_all
    summary
}

# eventually SECONDS COMMAND...: until it succeeds.
eventually() {
    local end=$((SECONDS + $1)); shift
    until "$@" >/dev/null 2>&1; do
        ((SECONDS < end)) || return 1
        sleep 0.1
    done
}

# up NAME COMMAND...: the lab is of no use unless this server answers, so say why and give up.
up() {
    local name=$1; shift
    eventually 15 "$@" && running "$name" && return
    fail "the lab: $name does not answer within 15 s; the end of its log:"
    tail -n 15 "$work/$name.log" || true
    return 1
}

# since START: seconds with one decimal; START is an earlier $EPOCHREALTIME.
since() {
    local tenths=$(((${EPOCHREALTIME/[.,]/} - ${1/[.,]/}) / 100000))
    echo "$((tenths / 10)).$((tenths % 10))"
}
