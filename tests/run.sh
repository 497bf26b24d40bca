#!/usr/bin/env bash
# All tests. As root: unit tests, then the suite as root, then the suite as an ordinary user with sub-ids.
# As an ordinary user: unit tests and the suite rootless; the part for root is named and left out.
# Arguments are passed to the suite (a filter, --nocapture).
set -euo pipefail
cd "$(dirname "$0")/.."

user=dhow-test
cargo test --locked --no-run --message-format=json-render-diagnostics >target/test-artifacts.json
artifact() { # NAME: the test program of that target
    sed -n "s/.*\"name\":\"$1\",.*\"executable\":\"\([^\"]*\)\".*/\1/p" target/test-artifacts.json | tail -n 1
}

cargo test --locked --lib --bins --test architecture

# An ordinary user cannot look into a checkout in root's home: the suite runs from a place all can read.
stage=$(mktemp -d /tmp/dhow-suite.XXXXXX)
trap 'rm -rf "$stage"' EXIT
chmod 0755 "$stage"
install -m 0755 "$(artifact suite)" "$stage/suite"
install -m 0755 target/x86_64-unknown-linux-musl/debug/dhow "$stage/dhow"

if [ "$(id -u)" != 0 ]; then
    DHOW_TEST_BINARY="$stage/dhow" "$stage/suite" "$@"
    echo "not run: the suite as root (needs root)"
    exit 0
fi
id -u "$user" >/dev/null 2>&1 || { echo "no user $user: run tests/setup.sh first" >&2; exit 1; }

echo "== the suite as root"
mkdir "$stage/root"
DHOW_TEST_BINARY="$stage/dhow" DHOW_TEST_DIR="$stage/root" "$stage/suite" "$@"

echo "== the suite as $user, rootless"
install -d -o "$user" -m 0700 "$stage/user"
cd "$stage/user"
setpriv --reuid="$user" --regid="$user" --init-groups env -i PATH="$PATH" HOME="$stage/user" \
    CI="${CI:-}" XDG_RUNTIME_DIR="/run/user/$(id -u "$user")" DHOW_TEST_BINARY="$stage/dhow" \
    DHOW_TEST_DIR="$stage/user" "$stage/suite" "$@"
