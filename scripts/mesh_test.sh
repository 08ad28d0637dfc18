#!/usr/bin/env bash
#
# Tries scripts/mesh.sh in the background: the messages of one peer reach the others, each of which was
# given one address or, in the exercise's way, all, or the invite to a private group; a port that is taken is
# reported, and nothing is left afterwards. It takes no arguments.

set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

main() {
    # Whoever starts this in the background without job control has it ignore SIGINT, and all that it starts.
    local interrupt=INT
    [[ $(trap -p INT) != "trap -- '' SIGINT" ]] || interrupt=TERM
    GROUPCHAT_PROGRAM=$(build_program)
    # Whatever the mesh forgets to remove is then found in here.
    TMPDIR=$(make_directory groupchat-mesh-test)
    export GROUPCHAT_PROGRAM TMPDIR
    trap finish EXIT
    trap 'exit 130' INT TERM HUP

    # Below the ports that systems give out by themselves, so one seldom is taken.
    base_port=$((20000 + RANDOM % 10000))
    until start_mesh; do
        grep -q 'in use' "$TMPDIR/output" || fail "the mesh did not start: $(cat "$TMPDIR/output")"
        base_port=$((20000 + RANDOM % 10000))
    done
    check_messages
    report_taken_port
    end_mesh "$interrupt"
    # The same ports again: nothing is left that holds one of them.
    start_mesh --plain || fail "the mesh did not start again: $(cat "$TMPDIR/output")"
    check_messages
    end_mesh TERM
    start_mesh --private || fail "the private mesh did not start: $(cat "$TMPDIR/output")"
    check_messages
    end_mesh TERM
    printf 'Three peers talked and left, three times, and nothing is left of them.\n'
}

# start_mesh [OPTION]: starts three peers. Says no if they did not start.
start_mesh() {
    : >"$TMPDIR/output"
    # Without job control the mesh would be started with SIGINT ignored, and could not change it.
    set -m
    "$root/scripts/mesh.sh" --background "$@" 3 "$base_port" >"$TMPDIR/output" 2>&1 &
    set +m
    mesh=$!
    wait_until 20 ready_or_gone
    grep -q 'Ctrl+C here' "$TMPDIR/output"
}

ready_or_gone() {
    grep -q 'Ctrl+C here' "$TMPDIR/output" || no_peers
}

check_messages() {
    local files
    files=$(echo "$TMPDIR"/groupchat-mesh.*)
    echo 'hello from alice' >"$files/alice.in"
    echo 'hello from carol' >"$files/carol.in"
    has_received bob 'alice: hello from alice'
    has_received carol 'alice: hello from alice'
    has_received alice 'carol: hello from carol'
    has_received bob 'carol: hello from carol'
}

has_received() {
    wait_until 10 grep -qF -e "$2" "$TMPDIR"/groupchat-mesh.*/"$1.out" ||
        fail "$1 did not read '$2' within 10 s"
}

report_taken_port() {
    local taken=$((base_port + 1)) code=0
    "$root/scripts/mesh.sh" --background 2 "$taken" >"$TMPDIR/taken" 2>&1 || code=$?
    ((code == 2)) || fail "with port $taken taken the exit code is $code, not 2"
    grep -q "$taken" "$TMPDIR/taken" || fail "port $taken is taken, and that was not reported"
}

# end_mesh SIGNAL
end_mesh() {
    local code=0
    kill "-$1" "$mesh"
    wait_until 10 no_peers || fail "the mesh did not end within 10 s of SIG$1: $(cat "$TMPDIR/output")"
    wait "$mesh" || code=$?
    ((code == 0)) || fail "the mesh ended with exit code $code: $(cat "$TMPDIR/output")"
    rm -f "$TMPDIR/output" "$TMPDIR/taken"
    [[ -z $(ls -A "$TMPDIR") ]] || fail "the mesh left files behind: $(ls -A "$TMPDIR")"
}

finish() {
    local status=$?
    trap '' INT TERM HUP
    trap - EXIT
    end_peers || true
    rm -rf "$TMPDIR"
    exit "$status"
}

main "$@"
