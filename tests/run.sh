#!/usr/bin/env bash
# All tests. As root: unit tests, then the suite as root, then the suite as an ordinary user with sub-ids.
# As an ordinary user: unit tests and the suite rootless; the part for root is named and left out.
# Every part runs, whatever became of the one before; the last lines sum up. Arguments are passed to the suite
# (a filter, --nocapture).
set -euo pipefail
cd "$(dirname "$0")/.."

user=dhow-test
if [ "$(id -u)" = 0 ] && ! id -u "$user" >/dev/null 2>&1; then
    echo "no user $user: run tests/setup.sh first" >&2
    exit 1
fi

mkdir -p target
cargo test --locked --no-run --message-format=json-render-diagnostics >target/test-artifacts.json
artifact() { # NAME: the test program of that target
    sed -n "s/.*\"name\":\"$1\",.*\"executable\":\"\([^\"]*\)\".*/\1/p" target/test-artifacts.json | tail -n 1
}

# An ordinary user cannot look into a checkout in root's home: the suite runs from a place all can read.
stage=$(mktemp -d /tmp/dhow-suite.XXXXXX)
trap 'rm -rf "$stage"' EXIT
chmod 0755 "$stage"
install -m 0755 "$(artifact suite)" "$stage/suite"
install -m 0755 target/x86_64-unknown-linux-musl/debug/dhow "$stage/dhow"

failed=0
summary=()
part() { # TITLE COMMAND…: runs it, notes its results
    local title=$1 line
    shift
    echo "== $title"
    "$@" 2>&1 | tee "$stage/log" || failed=1
    while IFS= read -r line; do summary+=("$title: $line"); done < <(grep -a '^test result:' "$stage/log")
}
as_root() {
    mkdir "$stage/root"
    DHOW_TEST_BINARY="$stage/dhow" DHOW_TEST_DIR="$stage/root" "$stage/suite" "$@"
}
as_user() (
    install -d -o "$user" -m 0700 "$stage/user"
    cd "$stage/user"
    setpriv --reuid="$user" --regid="$user" --init-groups env -i PATH="$PATH" HOME="$stage/user" \
        CI="${CI:-}" XDG_RUNTIME_DIR="/run/user/$(id -u "$user")" DHOW_TEST_BINARY="$stage/dhow" \
        DHOW_TEST_DIR="$stage/user" "$stage/suite" "$@"
)

part "unit tests" cargo test --locked --lib --bins --test architecture --test parsers
if [ "$(id -u)" = 0 ]; then
    part "suite as root" as_root "$@"
    part "suite rootless, as $user" as_user "$@"
else
    part "suite rootless" env DHOW_TEST_BINARY="$stage/dhow" "$stage/suite" "$@"
    summary+=("suite as root: not run (needs root)")
fi

echo
printf '%s\n' "${summary[@]}"
exit $failed
