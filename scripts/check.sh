#!/usr/bin/env bash
#
# The one list of checks. It stops at the first that fails.

set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

main() {
    (($# == 0)) || fail "no arguments are expected" 2
    command -v cargo >/dev/null || fail "$cargo_is_missing"
    # The checks are of this checkout, whatever else is tried with the scripts.
    unset GROUPCHAT_PROGRAM
    cd "$root"

    step "Format" cargo fmt --check
    step "Syntax of the scripts" check_syntax scripts/*.sh .ci/run
    if command -v shellcheck >/dev/null; then
        step "Shellcheck" shellcheck --external-sources scripts/*.sh .ci/run
    else
        printf '\n=== Shellcheck: left out, because it is not installed here\n'
    fi
    step "Clippy" cargo clippy --locked --all-targets -- -D warnings
    step "Documentation" env RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps
    # As in the README.
    step "Tests" cargo test
    step "The demo" scripts/demo.sh
    step "The mesh" scripts/mesh_test.sh

    printf '\nAll checks have passed.\n'
}

# step NAME COMMAND...
step() {
    printf '\n=== %s\n' "$1"
    "${@:2}" || fail "the checks stopped at: $1"
}

check_syntax() {
    local script
    for script in "$@"; do
        # One at a time, for bash would take the others as arguments.
        bash -n "$script" || return
    done
}

main "$@"
