#!/usr/bin/env bash
# Makes this machine ready for `make test` and `make bench`: packages, an unprivileged user with sub-ids,
# device modes as distributions have them. Needs root; safe to run again.
set -euo pipefail
[ "$(id -u)" = 0 ] || { echo "tests/setup.sh installs packages and makes a user: run it as root" >&2; exit 1; }

packages=(busybox-static docker-registry uidmap strace tmux openssl apache2-utils zstd xz-utils bzip2 curl
          ca-certificates util-linux passwd procps tar diffutils make skopeo dbus-daemon
          passt gcc libc6-dev e2fsprogs btrfs-progs xfsprogs fuse-overlayfs podman umoci git)
[ "${1:-}" = bench ] && packages+=(crun bubblewrap hyperfine isal python3)

missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    echo "installing: ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

command -v rustup >/dev/null || { echo "no Rust toolchain: install one from https://rustup.rs" >&2; exit 1; }
rustup target list --installed 2>/dev/null | grep -qx x86_64-unknown-linux-musl ||
    rustup target add x86_64-unknown-linux-musl
rustup component list --installed 2>/dev/null | grep -q '^clippy' || rustup component add clippy rustfmt

user=dhow-test
id -u "$user" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash "$user"
for file in /etc/subuid /etc/subgid; do
    grep -q "^$user:" "$file" 2>/dev/null || echo "$user:2000000:65536" >>"$file"
done
runtime="/run/user/$(id -u "$user")"
install -d -m 0700 -o "$user" -g "$user" "$runtime"

# Distributions have these at 0666; some test machines do not.
for device in /dev/fuse /dev/net/tun; do
    [ -c "$device" ] && chmod 0666 "$device"
done
exit 0
