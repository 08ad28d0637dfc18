#!/usr/bin/env bash
#
# Starts a group of peers on this machine. Each is given the address of one other, and finds the rest.

set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# One peer for each name.
names=(alice bob carol dave erin frank grace heidi ivan judy kim liam mia
    noah olga paul quinn rosa sam tina uma victor wendy xavier yara zoe)
for ((index = ${#names[@]} + 1; index <= 100; index++)); do names+=("peer$index"); done

# The group is for trying things out, so that nobody on the network is let in.
address=127.0.0.1

usage() {
    cat <<END
Usage: scripts/mesh.sh [OPTIONS] [COUNT] [BASE_PORT]

Starts COUNT peers on this machine. Each is given the address of the one
before it, and finds all the others by itself.
In a terminal with tmux, each peer has a pane to type into. Without, the
peers run in the background, each with a fifo to type into and a file with
its conversation. Either way nothing is left running afterwards.

  COUNT             how many peers, 1 to ${#names[@]} [default: 4]
  BASE_PORT         the first peer's port; the next ones follow it [default: 5000]

  -b, --background  run the peers in the background although there is tmux
  -k, --keep        keep the files with the conversations (implies --background)
      --plain       the exercise's way: peers do not tell each other of others,
                    and each is given the addresses of all before it
      --private     a private group, which is forgotten afterwards
  -h, --help        print this

The program is built first, unless GROUPCHAT_PROGRAM names one to use.
END
}

main() {
    parse_arguments "$@"
    trap 'exit 130' INT TERM HUP QUIT
    program=$(build_program)
    trap finish EXIT
    if [[ $private == yes ]]; then group=$(make_directory groupchat-mesh-group)/mesh; fi
    if [[ $background == no && -t 0 && -t 1 && ${TERM:-dumb} != dumb ]] &&
        command -v tmux >/dev/null; then
        run_in_tmux
    else
        run_in_background
    fi
}

parse_arguments() {
    background=no keep=no plain=no private=no count=4 base_port=5000
    local numbers=()
    while (($# > 0)); do
        case $1 in
        -h | --help) usage && exit ;;
        -b | --background) background=yes ;;
        -k | --keep) background=yes keep=yes ;;
        --plain) plain=yes ;;
        --private) private=yes ;;
        -*) fail "there is no option $1; --help shows those there are" 2 ;;
        *) numbers+=("$1") ;;
        esac
        shift
    done
    [[ $plain == no || $private == no ]] || fail "--plain and --private do not go together" 2
    ((${#numbers[@]} <= 2)) || fail "only COUNT and BASE_PORT are expected, not also '${numbers[2]}'" 2
    ((${#numbers[@]} < 1)) || count=$(number_in COUNT "${numbers[0]}" "${#names[@]}")
    ((${#numbers[@]} < 2)) || base_port=$(number_in BASE_PORT "${numbers[1]}" 65535)
    ((base_port + count - 1 <= 65535)) ||
        fail "$count ports from $base_port on go past 65535; choose a lower BASE_PORT" 2
}

# number_in ARGUMENT VALUE MAXIMUM: prints VALUE if it is a number from 1 to MAXIMUM.
number_in() {
    # Five digits at most, for arithmetic that cannot overflow; "10#", for 010 is ten, not eight.
    if ! [[ $2 =~ ^[0-9]{1,5}$ ]] || ((10#$2 < 1 || 10#$2 > $3)); then
        fail "$1 is a number from 1 to $3, not '$2'" 2
    fi
    printf '%d\n' "$((10#$2))"
}

# peer_command INDEX: sets `peer` to the command that is that peer.
peer_command() {
    local other port=$((base_port + $1)) first=$((base_port + $1 - 1))
    peer=("$program" --name "${names[$1]}" --bind "$address" "$port")
    if [[ $private == yes ]]; then
        if (($1 == 0)); then
            peer+=(--new "$group")
        else
            peer=(bash -c "$private_script" "$group" "${peer[@]}")
        fi
        return
    fi
    if [[ $plain == yes ]]; then
        peer+=(--plain)
        first=$base_port
    fi
    for ((other = first < base_port ? base_port : first; other < port; other++)); do
        peer+=("$address:$other")
    done
}

# The other peers of a private group, for which the first one has made a file. The invite is in their environment, where
# other users do not see it, and not among their arguments.
# shellcheck disable=SC2016 # The inner shell is to expand these.
private_script='
    GROUPCHAT_INVITE=$("$1" --group "$0" --invite) && export GROUPCHAT_INVITE && exec "$@"
'

# did_not_start NAME, with its output on standard input.
did_not_start() {
    printf '%s could not start:\n\n' "$1" >&2
    sed 's/^/    /' >&2
    printf '\n' >&2
    fail "if a port is taken, choose another BASE_PORT: scripts/mesh.sh $count $((base_port < 60000 ? base_port + 1000 : 5000))" 2
}

# Runs however the script ends.
finish() {
    local status=$?
    # One cleaning up is enough.
    trap '' INT TERM HUP QUIT
    trap - EXIT
    if [[ -n ${tmux_socket:-} ]]; then
        finish_in_tmux || status=1
    elif [[ -n ${directory:-} ]]; then
        finish_in_background || status=1
    fi
    if [[ -n ${group:-} ]]; then rm -rf "$(dirname "$group")"; fi
    if ((status == 0)); then printf 'Everyone has left.\n'; fi
    if [[ $keep == yes && -n ${directory:-} ]]; then
        printf 'The conversations are in %q\n' "$directory"
    fi
    exit "$status"
}

# ---------------------------------------------------------------- background

run_in_background() {
    local index
    directory=$(make_directory groupchat-mesh)
    for ((index = 0; index < count; index++)); do
        mkfifo "$directory/${names[index]}.in"
        # This is the other end of what the peer reads. It stays open, or the first `echo` into
        # the fifo would be the end of input; and only here, so that the peers leave even when
        # this script is killed. (By number, because bash 3.2 cannot choose a descriptor itself.)
        eval "exec $((20 + index))<>\"\$directory/\${names[index]}.in\""
        touch "$directory/${names[index]}.out" "$directory/${names[index]}.err"
    done
    for ((index = 0; index < count; index++)); do
        start_in_background "$index"
    done
    if ! wait_until 10 all_connected; then
        (cd "$directory" && grep '' ./*.err >&2)
        fail "the peers did not connect to each other within 10 s; what they reported is above"
    fi
    explain_background
    # From here on Ctrl+C is how it is meant to end.
    trap 'exit 0' INT TERM HUP QUIT
    # Bash would report here which peer was killed by which signal.
    wait 2>/dev/null || true
}

start_in_background() {
    local files=$directory/${names[$1]} pid peer
    peer_command "$1"
    # With job control the peer is a process group of its own. Ctrl+C then reaches this script
    # alone, which passes it on once: a second signal would cut the peer's goodbye short.
    set -m
    (
        for ((fd = 20; fd < 20 + count; fd++)); do eval "exec $fd>&-"; done
        exec "${peer[@]}"
    ) <"$files.in" >"$files.out" 2>"$files.err" &
    set +m
    pid=$!
    wait_until 10 listening_or_gone "$pid" "$files.err" || true
    grep -q 'listening on' "$files.err" || did_not_start "${names[$1]}" <"$files.err"
}

listening_or_gone() {
    grep -q 'listening on' "$2" || ! kill -0 "$1" 2>/dev/null
}

all_connected() {
    local index
    for ((index = 0; index < count; index++)); do
        if [[ $plain == yes ]]; then
            (($(dialled "$directory/${names[index]}.err") >= index)) || return 1
        else
            (($(members "$directory/${names[index]}.out") >= count - 1)) || return 1
        fi
    done
}

explain_background() {
    local index path join
    # Quoted where it needs to be, so that what is printed can be pasted.
    path=$(printf '%q' "$directory")
    join="$(printf '%q' "$program") 0 $base_port"
    if [[ $plain == yes ]]; then
        join="$(printf '%q' "$program") --plain 0"
        for ((index = 0; index < count; index++)); do join+=" $((base_port + index))"; done
    fi
    if [[ $private == yes ]]; then
        join="GROUPCHAT_INVITE=\$($(printf '%q' "$program") -g $(printf '%q' "$group") --invite) $(printf '%q' "$program") 0"
    fi
    if ((count == 1)); then
        printf 'One peer runs in the background.\n\n'
    else
        printf '%d peers run in the background, each connected to all the others.\n\n' "$count"
    fi
    printf '  name     port   files in %s\n' "$path"
    for ((index = 0; index < count; index++)); do
        printf '  %-8s %-6d %s.in  %s.out  %s.err\n' "${names[index]}" "$((base_port + index))" \
            "${names[index]}" "${names[index]}" "${names[index]}"
    done
    cat <<END

In another terminal, speak as ${names[0]}:
  echo hello > $path/${names[0]}.in
see what ${names[count - 1]} reads:
  tail -f $path/${names[count - 1]}.out
or join:
  $join

Ctrl+C here makes everyone leave.
END
}

finish_in_background() {
    local status=0
    if ! end_peers; then
        printf 'Some peers did not leave and were killed.\n' >&2
        status=1
    fi
    if [[ $keep == yes ]]; then
        rm -f "$directory"/*.in
    else
        rm -rf "$directory"
    fi
    return "$status"
}

# ---------------------------------------------------------------------- tmux

# The peers get a tmux server of their own, which cannot disturb the user's, and which reads no
# settings: plugins would start a second time in it. That holds inside a tmux too, where it runs
# nested in the present pane, for a command typed into one pane should not rearrange the others.
# So its keys need no prefix: the outer tmux would take that for itself.
run_in_tmux() {
    local index pane='' rows columns
    unset TMUX TMUX_PANE
    tmux_socket=groupchat-mesh-$$
    pane_pids=()
    read -r rows columns < <(stty size)
    # A terminal that does not know its size says 0.
    ((rows > 0 && columns > 0)) || rows=24 columns=80
    for ((index = 0; index < count; index++)); do
        start_in_tmux "$index"
    done
    dress_tmux
    trap 'exit 0' INT TERM HUP QUIT
    # Once nobody looks at it, the session ends, even when this script is not there to end it.
    # The client runs in the background, for bash runs its traps only between commands and while
    # it waits; its input is named, for a background command has none otherwise.
    mesh_tmux attach-session \; set-option -g destroy-unattached on <&0 &
    tmux_client=$!
    wait "$tmux_client" || true
}

mesh_tmux() {
    tmux -L "$tmux_socket" -f /dev/null "$@"
}

# What runs in a pane. It outlives the peer's leaving, so that a peer that could not run stays
# to be read, and so that the pane is there until the peer has gone.
# shellcheck disable=SC2016 # The inner shell is to expand these.
pane_script='
    trap : INT TERM HUP
    "$@" && exit
    printf "\n%s ended with exit code %d. Press Enter to close this pane.\n" "$0" $?
    trap - INT TERM HUP
    read -r _
'

start_in_tmux() {
    local peer place line
    peer_command "$1"
    if (($1 == 0)); then
        place=(new-session -d -x "$columns" -y "$rows")
    else
        place=(split-window -d -t "$pane")
    fi
    line=$(mesh_tmux "${place[@]}" -P -F '#{pane_id} #{pane_pid}' \
        bash -c "$pane_script" "${names[$1]}" "${peer[@]}") ||
        fail "tmux has no pane for ${names[$1]}; make the terminal larger, or try --background"
    pane=${line% *}
    pane_pids+=("${line#* }")
    mesh_tmux select-pane -t "$pane" -T "${names[$1]} $((base_port + $1))"
    mesh_tmux select-layout tiled
    wait_until 10 pane_shows "$pane" 'listening on|ended with exit code' || true
    pane_shows "$pane" 'listening on' ||
        pane_text "$pane" | sed '/ended with exit code/,$d' | did_not_start "${names[$1]}"
}

pane_text() {
    mesh_tmux capture-pane -p -J -S - -t "$1" | sed '/^ *$/d'
}

pane_shows() {
    # Not -q, which can end before all is written to it; and then the pipe counts as failed.
    pane_text "$1" | grep -E "$2" >/dev/null
}

dress_tmux() {
    mesh_tmux \
        set-option -g mouse on \; \
        set-option -g pane-border-status top \; \
        set-option -g pane-border-format '#{?pane_active,#[reverse],} #{pane_title} ' \; \
        set-option -g window-status-format '' \; \
        set-option -g window-status-current-format '' \; \
        set-option -g status-left ' Ctrl+C: all leave  Ctrl+D: this one  Ctrl+O, or a click: next ' \; \
        set-option -g status-left-length 80 \; \
        set-option -g status-right '' \; \
        bind-key -n C-o select-pane -t :.+ \; \
        bind-key -n C-c kill-server \; \
        select-pane -t '{top-left}'
}

finish_in_tmux() {
    # Every peer then has lost its terminal, which is one way of leaving.
    mesh_tmux kill-server 2>/dev/null || true
    if [[ -n ${tmux_client:-} ]]; then wait "$tmux_client" || true; fi
    rm -f "${TMUX_TMPDIR:-/tmp}/tmux-$(id -u)/$tmux_socket"
    if ! wait_until 6 no_pane_left; then
        printf 'Some peers have not left yet.\n' >&2
        return 1
    fi
}

no_pane_left() {
    local pid
    for pid in ${pane_pids[@]+"${pane_pids[@]}"}; do
        # One that has ended can keep its number for a while, until the system collects it.
        if kill -0 "$pid" 2>/dev/null && [[ $(ps -o stat= -p "$pid" 2>/dev/null) != Z* ]]; then
            return 1
        fi
    done
}

main "$@"
