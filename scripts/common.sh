# shellcheck shell=bash
#
# What the scripts have in common. They source this file; it does nothing by itself.
# Everything here runs on bash 3.2, the one that macOS has.

root=$(CDPATH='' cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# shellcheck disable=SC2034 # The sourcing scripts use it too.
cargo_is_missing="cargo is missing; install Rust from https://rustup.rs and open a new terminal"

# fail SENTENCE [EXIT_CODE]
fail() {
    printf '%s: %s\n' "$(basename "$0")" "$1" >&2
    exit "${2:-1}"
}

# wait_until SECONDS COMMAND...: runs COMMAND again and again until it succeeds.
# Nothing here sleeps for a fixed time and hopes: the seconds are only when to give up.
wait_until() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        if ((SECONDS > deadline)); then return 1; fi
        sleep 0.02
    done
}

# Prints the path of the program, which it builds first.
# Cargo shows the path, because its settings can put it elsewhere than in target/.
build_program() {
    if [[ -n ${GROUPCHAT_PROGRAM:-} ]]; then
        [[ -x $GROUPCHAT_PROGRAM ]] || fail "GROUPCHAT_PROGRAM is not a program: $GROUPCHAT_PROGRAM"
        printf '%s\n' "$GROUPCHAT_PROGRAM"
        return
    fi
    command -v cargo >/dev/null || fail "$cargo_is_missing"
    if [[ ! -x $root/target/release/groupchat ]]; then
        printf 'Building groupchat. The first time takes a minute.\n' >&2
    fi
    cd "$root" || return
    cargo build --release --locked --quiet --bin groupchat \
        --message-format json-render-diagnostics |
        sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' ||
        fail "groupchat could not be built; the reason is above"
}

# make_directory NAME: prints a new directory for temporary files.
make_directory() {
    local parent=${TMPDIR:-/tmp}
    mktemp -d "${parent%/}/$1.XXXXXX"
}

# members FILE: counts those that a peer has shown to join.
members() {
    grep -c ' has joined$' "$1"
}

# dialled FILE: counts the connections that a peer has made, as its standard error shows. Of those
# that others make to a plain peer, not every one is shown before it sends something.
dialled() {
    grep -c '^connected to ' "$1"
}

# The peers that this script has started and that are still there, as bash knows them: a process
# id that was remembered could belong to another process by now.
peers() {
    jobs -rp
    jobs -sp
}

signal_peers() {
    local pid
    for pid in $(peers); do kill "-$1" "$pid" || true; done
}

no_peers() {
    [[ -z $(peers) ]]
}

# Makes the peers leave, and fails if one had to be killed.
end_peers() {
    # Bash would report each ended peer here, in its own words.
    {
        signal_peers TERM
        # A stopped one could not leave.
        signal_peers CONT
        # A peer gives the slowest of the others 2 s to read its last messages. This is longer.
        if ! wait_until 6 no_peers; then
            signal_peers KILL
            wait
            return 1
        fi
    } 2>/dev/null
}
