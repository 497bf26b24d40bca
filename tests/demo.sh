#!/usr/bin/env bash
# make demo: what a newcomer sees first. Builds dhow, runs the image inside the binary, then pulls a small image from
# a registry on loopback and runs that: both rootless. As root the rootless part runs as the user of tests/setup.sh.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }

if [ "$(id -u)" = 0 ]; then
    tests/setup.sh
else
    for program in cargo docker-registry newuidmap busybox curl; do
        command -v "$program" >/dev/null || missing="${missing:-} $program"
    done
    if [ -n "${missing:-}" ]; then
        echo "make demo needs programs that are not installed:$missing" >&2
        echo "a Rust toolchain is at https://rustup.rs, for the rest: sudo tests/setup.sh" >&2
        echo "(on Debian: apt install docker-registry uidmap busybox-static curl)" >&2
        exit 1
    fi
fi

say "building (make)"
make -s build

stage=$(mktemp -d /tmp/dhow-demo.XXXXXX)
registry=
trap 'if [ -n "$registry" ]; then kill "$registry"; wait "$registry" 2>/dev/null || true; fi; rm -rf "$stage/dhow" "$stage/registry"; rmdir "$stage" 2>/dev/null || true' EXIT
chmod 0755 "$stage"
install -m 0755 target/x86_64-unknown-linux-musl/release/dhow "$stage/dhow"

as_user() { "$@"; }
if [ "$(id -u)" = 0 ]; then
    user=dhow-test
    home=$(getent passwd "$user" | cut -d: -f6)
    as_user() {
        setpriv --reuid="$user" --regid="$user" --init-groups env -i PATH="$PATH" HOME="$home" \
            XDG_RUNTIME_DIR="/run/user/$(id -u "$user")" "$@"
    }
fi
cd /

say "dhow run --rm dhow-hello      (the image is inside the binary)"
as_user "$stage/dhow" run --rm dhow-hello

port=5017
while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
mkdir -p "$stage/registry"
cat >"$stage/registry/config.yml" <<YAML
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $stage/registry/data}}
http: {addr: "127.0.0.1:$port", secret: demo}
YAML
docker-registry serve "$stage/registry/config.yml" >/dev/null 2>&1 &
registry=$!
until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do sleep 0.1; done

say "a registry on 127.0.0.1:$port, and a small image in it"
work="$stage/registry/image"
mkdir -p "$work/bin"
cp /bin/busybox "$work/bin/busybox"
ln -s busybox "$work/bin/sh"
tar -C "$work" --owner=0 --group=0 -cf "$stage/registry/layer.tar" bin
gzip -kf "$stage/registry/layer.tar"
sha() { sha256sum "$1" | cut -d' ' -f1; }
diff_id=$(sha "$stage/registry/layer.tar")
printf '{"architecture":"amd64","os":"linux","config":{"Cmd":["sh","-c","echo pulled and run without root"],"Env":["PATH=/bin"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
    "$diff_id" >"$stage/registry/config.json"
put() { # FILE: uploads a blob
    location=$(curl -fsS -X POST -D - -o /dev/null "http://127.0.0.1:$port/v2/demo/blobs/uploads/" |
        tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
    curl -fsS -X PUT -H 'Content-Type: application/octet-stream' --data-binary "@$1" "$location&digest=sha256:$(sha "$1")"
}
put "$stage/registry/layer.tar.gz"
put "$stage/registry/config.json"
size() { stat -c %s "$1"; }
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%d},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:%s","size":%d}]}' \
    "$(sha "$stage/registry/config.json")" "$(size "$stage/registry/config.json")" \
    "$(sha "$stage/registry/layer.tar.gz")" "$(size "$stage/registry/layer.tar.gz")" >"$stage/registry/manifest.json"
curl -fsS -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' \
    --data-binary "@$stage/registry/manifest.json" "http://127.0.0.1:$port/v2/demo/manifests/latest"

say "dhow run --rm 127.0.0.1:$port/demo      (pulled from the registry)"
as_user "$stage/dhow" run --rm "127.0.0.1:$port/demo"
as_user "$stage/dhow" images
as_user "$stage/dhow" rmi "127.0.0.1:$port/demo" >/dev/null

say "that was rootless: try it as root too, and see the README's tour"
