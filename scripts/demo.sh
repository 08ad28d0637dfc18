#!/usr/bin/env bash
#
# Plays a short conversation of two people, each at a terminal, and shows both terminals side by side, as
# a person sees them. It takes no arguments, and needs nothing but Rust: the terminals are emulated.

set -euo pipefail
# shellcheck source=scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

(($# == 0)) || fail "no arguments are expected" 2
command -v cargo >/dev/null || fail "$cargo_is_missing"
cd "$root"
exec cargo test --locked --quiet --test demo
