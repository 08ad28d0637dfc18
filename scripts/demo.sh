#!/usr/bin/env bash
#
# Plays a short conversation of three peers and shows the terminal of each: the lines typed
# there and those that came in. What the peers report on standard error is left out, for the
# ports in it differ from run to run. It takes no arguments.

set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# How long anything may take to appear.
patience_seconds=10

main() {
    (($# == 0)) || fail "no arguments are expected" 2
    program=$(build_program)
    directory=$(make_directory groupchat-demo)
    trap finish EXIT
    trap 'exit 130' INT TERM HUP

    # The keyboards. Each is open here, or the first line typed would be the last.
    mkfifo "$directory/alice.in" "$directory/bob.in" "$directory/carol.in"
    exec 7<>"$directory/alice.in" 8<>"$directory/bob.in" 9<>"$directory/carol.in"

    play
    show alice "waits for the others"
    show bob "connects to alice"
    show carol "connects to bob, a little later, and finds alice"
}

play() {
    start alice
    start bob "$(address_of alice)"
    await_joined alice bob
    await_joined bob alice
    type_line bob "hello alice" alice
    type_line alice "hello bob, is carol coming?" bob

    start carol "$(address_of bob)"
    await_joined alice carol
    await_joined bob carol
    await_joined carol alice bob
    await carol screen 'said before you came'
    type_line carol "here I am, and no server anywhere" alice bob
    type_line bob "then it works, see you tomorrow" alice carol

    leave bob alice carol
    type_line alice "just the two of us" carol
    leave carol alice
    leave alice
}

# start NAME [PEER]...: starts a peer and waits until it listens.
start() {
    local name=$1
    shift
    touch "$directory/$name.screen" "$directory/$name.err"
    # Were another's keyboard open in this peer, the other would not notice when it is closed.
    "$program" --name "$name" --bind 127.0.0.1 0 "$@" <"$directory/$name.in" \
        >>"$directory/$name.screen" 2>"$directory/$name.err" 7>&- 8>&- 9>&- &
    printf -v "pid_$name" '%d' $!
    await "$name" err 'listening on'
}

address_of() {
    sed -n 's/.*listening on .*:\([0-9][0-9]*\)$/127.0.0.1:\1/p' "$directory/$1.err"
}

# type_line NAME TEXT READER...: types a line and waits until every reader has it.
type_line() {
    local name=$1 text=$2 reader
    shift 2
    # A terminal shows what is typed by itself.
    printf '%s\n' "$text" | tee -a "$directory/$name.screen" >"$directory/$name.in"
    for reader in "$@"; do
        await "$reader" screen "$name: $text"
    done
}

# leave NAME READER...: ends the peer's input, as Ctrl+D does, and waits until it has gone and
# every reader knows.
leave() {
    local name=$1 pid=pid_$1 reader
    shift
    case $name in
    alice) exec 7>&- ;;
    bob) exec 8>&- ;;
    carol) exec 9>&- ;;
    esac
    for reader in "$@"; do
        await "$reader" screen "$name has left the chat..."
    done
    wait_until "$patience_seconds" has_ended "${!pid}" ||
        fail "$name did not end within $patience_seconds s"
    wait "${!pid}" || fail "$name ended with exit code $?$(reported_by "$name")"
}

has_ended() {
    ! kill -0 "$1" 2>/dev/null
}

# await NAME FILE TEXT: waits until the text appears in that file of the peer's.
await() {
    wait_until "$patience_seconds" grep -qF -e "$3" "$directory/$1.$2" ||
        fail "'$3' did not appear at $1 within $patience_seconds s$(reported_by "$1")"
}

# await_joined NAME OTHER...
await_joined() {
    local name=$1 other
    shift
    for other in "$@"; do await "$name" screen "$other has joined"; done
}

# What a peer said on standard error, to put behind a sentence.
reported_by() {
    printf '; it reported:\n'
    sed 's/^/    /' "$directory/$1.err"
}

show() {
    printf -- '--- %s %s\n' "$1" "$2"
    cat "$directory/$1.screen"
    printf '\n'
}

finish() {
    local status=$?
    trap '' INT TERM HUP
    trap - EXIT
    end_peers || true
    rm -rf "$directory"
    exit "$status"
}

main "$@"
