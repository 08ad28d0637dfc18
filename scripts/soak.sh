#!/usr/bin/env bash
#
# Runs simulated groups from seeds that nobody has seen, and prints how to replay one that fails.

set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

main() {
    [[ $# == 1 && $1 =~ ^[1-9][0-9]{0,5}$ ]] || fail "it takes a number of seconds: scripts/soak.sh 60" 2
    command -v cargo >/dev/null || fail "$cargo_is_missing"
    cd "$root"
    if ! GROUPCHAT_SOAK_SECONDS=$1 cargo test --release --locked --test simulation -- --nocapture; then
        fail "a group did not hold; its seed is above. To see what happened to it:
    GROUPCHAT_SEED=<seed> cargo test --release --test simulation -- --nocapture"
    fi
}

main "$@"
