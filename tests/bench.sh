#!/usr/bin/env bash
# make bench: medians side by side in one run with the peers that are installed (podman with crun, crun alone with a
# ready bundle, bwrap). Prints a Markdown table; the last column is dhow / the first peer of the row.
# BENCH=word runs only the rows whose name contains the word (run, exec, ps, images, at once, cat, pull, push, files,
# commit), BENCH_DHOW names another binary. Stores lie on $BENCH_DIR
# (default: a tmpfs in /dev/shm). BENCH_PODMAN_MAX (1000) limits the objects made for podman, which takes its time.
set -euo pipefail
cd "$(dirname "$0")/.."
unset RUST_BACKTRACE

# crun refuses a hybrid host whose v2 tree has controllers; in this mount namespace the host is plain v1 for everybody.
hybrid=/sys/fs/cgroup/unified
if [ "$(id -u)" = 0 ] && [ -n "$(cat $hybrid/cgroup.controllers 2>/dev/null)" ]; then
    exec unshare -m sh -c "umount $hybrid && exec \"\$0\" \"\$@\"" "$PWD/tests/bench.sh" "$@"
fi

only=${BENCH:-}
podman_max=${BENCH_PODMAN_MAX:-1000}
dir=$(mktemp -d "${BENCH_DIR:-/dev/shm}/dhow-bench.XXXXXX")
dhow_binary=${BENCH_DHOW:-$PWD/target/x86_64-unknown-linux-musl/release/dhow}
has() { command -v "$1" >/dev/null; }
has hyperfine || { echo "hyperfine is not installed: tests/setup.sh bench" >&2; exit 1; }

dhow=("$dhow_binary" --root "$dir/dhow" --runroot "$dir/dhow-run")
podman=()
podman_at() { podman=(podman --root "$dir/$1" --runroot "$dir/$1-run" --cgroup-manager cgroupfs --events-backend file --storage-driver overlay); }
! has podman || podman_at podman
# podman raises limits that a root without CAP_SYS_RESOURCE cannot raise; both programs read this copy.
config=/usr/share/containers/containers.conf
if has podman && [ -e $config ]; then
    sed "s/^\[containers\]/&\ndefault_ulimits = [\"nofile=$(ulimit -Hn):$(ulimit -Hn)\", \"nproc=4096:4096\"]/" $config >"$dir/containers.conf"
    export CONTAINERS_CONF=$dir/containers.conf
fi
registries=
cleanup() {
    "${dhow[@]}" rm -fa -t 0 >/dev/null 2>&1 || true
    [ ${#podman[@]} -eq 0 ] || "${podman[@]}" rm -fa -t 0 >/dev/null 2>&1 || true
    [ -z "$registries" ] || kill $registries 2>/dev/null || true
    umount -l "$dir"/podman*/overlay 2>/dev/null || true
    rm -rf "$dir"
}
trap cleanup EXIT

# --- one image for all: busybox with an /etc
rootfs=$dir/rootfs
mkdir -p "$rootfs"/{bin,etc,tmp,dev,proc,sys}
cp /bin/busybox "$rootfs/bin/"
for applet in sh true cat sleep ls echo; do ln -s busybox "$rootfs/bin/$applet"; done
echo "root:x:0:0:root:/root:/bin/sh" >"$rootfs/etc/passwd"
echo "root:x:0:" >"$rootfs/etc/group"
tar -C "$rootfs" --owner=0 --group=0 -cf "$dir/rootfs.tar" .
archive() { # NAME LAYER...: a docker-archive on stdout
    local name=$1 work layers='' ids='' n=0 file
    shift
    work=$(mktemp -d "$dir/archive.XXXXXX")
    for file in "$@"; do
        n=$((n + 1))
        ln "$file" "$work/$n.tar" 2>/dev/null || cp "$file" "$work/$n.tar"
        layers="$layers${layers:+,}\"$n.tar\""
        ids="$ids${ids:+,}\"sha256:$(sha256sum "$file" | cut -d' ' -f1)\""
    done
    printf '{"architecture":"amd64","os":"linux","config":{"Cmd":["sh"],"Env":["PATH=/bin"]},"rootfs":{"type":"layers","diff_ids":[%s]}}' "$ids" >"$work/config.json"
    printf '[{"Config":"config.json","RepoTags":["%s"],"Layers":[%s]}]' "$name" "$layers" >"$work/manifest.json"
    tar -C "$work" -cf - .
    rm -rf "$work"
}
archive localhost/bench:latest "$dir/rootfs.tar" >"$dir/bench.tar"
"${dhow[@]}" load -q -i "$dir/bench.tar" >/dev/null
[ ${#podman[@]} -eq 0 ] || "${podman[@]}" load -q -i "$dir/bench.tar" >/dev/null

# --- measuring
wanted() { [ -z "$only" ] || [[ "$1" == *"$only"* ]]; }
median() { # RUNS PREPARE COMMAND...: median wall milliseconds
    local runs=$1 prepare=$2
    shift 2
    local options=(-N --warmup 1 --runs "$runs" --export-csv "$dir/out.csv")
    [ -z "$prepare" ] || options+=(--prepare "bash -c $(printf '%q' "$prepare")")
    hyperfine "${options[@]}" "$(printf '%q ' "$@")" >/dev/null 2>"$dir/err" || { cat "$dir/err" >&2; echo nan; return; }
    awk -F, 'NR==2 {printf "%.2f", $(NF-4)*1000}' "$dir/out.csv"
}
row() { # NAME OURS THEIRS [NAME VALUE]...
    local name=$1 ours=$2 peers='' ratio=-
    shift 2
    [ $# -eq 0 ] || ratio=$(awk -v a="$ours" -v b="$2" 'BEGIN {if (b>0) printf "%.3f", a/b; else print "-"}')
    while [ $# -gt 0 ]; do peers="$peers${peers:+, }$1 $2"; shift 2; done
    printf '| %s | %s | %s | %s |\n' "$name" "$ours" "${peers:--}" "$ratio"
}
p() { [ ${#podman[@]} -gt 0 ]; }

echo "Linux $(uname -r), $(nproc) cores, $(date +%F); $("$dhow_binary" --version)$(p && podman --version | sed 's/^/; /')$(has crun && crun --version | sed -n '1s/^/; /p')$(has bwrap && bwrap --version | sed 's/^/; /')"
echo
echo "| work | dhow, ms | peers, ms | dhow / first peer |"
echo "|---|---|---|---|"

bundle() {
    mkdir -p "$dir/bundle" && cp -r "$rootfs" "$dir/bundle/rootfs"
    (cd "$dir/bundle" && crun spec && sed -i 's/"terminal": true/"terminal": false/; s/"sh"/"true"/' config.json)
}
if wanted "run none"; then
    peers=()
    p && peers+=(podman "$(median 10 '' "${podman[@]}" run --rm --network none bench true)")
    has crun && { bundle; peers+=(crun "$(median 30 '' crun run -b "$dir/bundle" bench)"); }
    has bwrap && peers+=(bwrap "$(median 30 '' bwrap --unshare-all --bind "$rootfs" / --proc /proc --dev /dev true)")
    row "run --rm --network none IMG true" "$(median 50 '' "${dhow[@]}" run --rm --network none bench true)" "${peers[@]}"
fi
if wanted "run host"; then
    peers=()
    p && peers+=(podman "$(median 10 '' "${podman[@]}" run --rm --network host bench true)")
    row "run --rm --network host IMG true" "$(median 50 '' "${dhow[@]}" run --rm --network host bench true)" "${peers[@]}"
fi
if wanted "version"; then
    peers=()
    p && peers+=(podman "$(median 20 '' "${podman[@]}" version)")
    row "version" "$(median 50 '' "${dhow[@]}" version)" "${peers[@]}"
fi
if wanted "exec"; then
    "${dhow[@]}" run -d --name ex --network none bench sleep 10000 >/dev/null
    peers=()
    if p; then
        "${podman[@]}" run -d --name ex --network none bench sleep 10000 >/dev/null
        peers+=(podman "$(median 10 '' "${podman[@]}" exec ex true)")
        "${podman[@]}" rm -f -t 0 ex >/dev/null
    fi
    row "exec true" "$(median 50 '' "${dhow[@]}" exec ex true)" "${peers[@]}"
    supervisor=$("${dhow[@]}" inspect -f '{{.State.ConmonPid}}' ex)
    private=$(awk '/^Private_(Clean|Dirty)/ {s += $2} END {print s}' "/proc/$supervisor/smaps_rollup")
    echo "| supervisor, private memory | $private KiB | - | - |"
    "${dhow[@]}" rm -f -t 0 ex >/dev/null
fi
if wanted "ps"; then
    for count in 0 100 1000; do
        fill() { # COMMAND...: stopped containers up to the count
            local have; have=$("$@" ps -aq | wc -l)
            [ "$have" -ge "$count" ] || seq "$have" $((count - 1)) | xargs -P 4 -I{} "$@" create bench true >/dev/null
        }
        fill "${dhow[@]}"
        peers=()
        if p && [ "$count" -le "$podman_max" ]; then
            podman_at podman-ps # a store of its own, dropped as a whole: podman takes a minute to remove them
            [ "$count" -gt 0 ] || "${podman[@]}" load -q -i "$dir/bench.tar" >/dev/null
            fill "${podman[@]}"
            peers+=(podman "$(median 10 '' "${podman[@]}" ps -a)")
            podman_at podman
        fi
        row "ps -a, $count containers" "$(median 30 '' "${dhow[@]}" ps -a)" "${peers[@]}"
    done
    "${dhow[@]}" rm -a >/dev/null
fi
if wanted "images"; then
    many() { # 300 images of one layer in one archive
        local work=$dir/many n layer
        layer=$(sha256sum "$dir/rootfs.tar" | cut -d' ' -f1)
        mkdir -p "$work" && ln "$dir/rootfs.tar" "$work/layer.tar"
        for n in $(seq 300); do
            printf '{"architecture":"amd64","os":"linux","config":{"Cmd":["sh"],"Labels":{"n":"%s"}},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' "$n" "$layer" >"$work/$n.json"
            printf '%s{"Config":"%s.json","RepoTags":["localhost/many-%s:latest"],"Layers":["layer.tar"]}' "$([ "$n" = 1 ] && echo '[' || echo ',')" "$n" "$n"
        done >"$work/manifest.json"
        echo ']' >>"$work/manifest.json"
        tar -C "$work" -cf "$dir/many.tar" . && rm -rf "$work"
    }
    many
    "${dhow[@]}" load -q -i "$dir/many.tar" >/dev/null
    peers=()
    if p && [ "$podman_max" -ge 300 ]; then
        podman_at podman-images
        "${podman[@]}" load -q -i "$dir/many.tar" >/dev/null
        peers+=(podman "$(median 5 '' "${podman[@]}" images)")
        podman_at podman
    fi
    row "images, 300 images" "$(median 30 '' "${dhow[@]}" images)" "${peers[@]}"
    "${dhow[@]}" images --format '{{.Repository}}' | grep many | xargs "${dhow[@]}" rmi -f >/dev/null
fi
at_once() { # COUNT COMMAND...
    local count=$1; shift
    local begin end; begin=$(date +%s%N)
    for _ in $(seq "$count"); do "$@" >/dev/null 2>&1 & done
    wait
    end=$(date +%s%N)
    awk -v n="$((end - begin))" 'BEGIN {printf "%.0f", n/1e6}'
}
if wanted "at once"; then
    for count in 20 50; do
        peers=()
        p && { peers+=(podman "$(at_once "$count" "${podman[@]}" run -d --network none bench sleep 1000)")
               "${podman[@]}" rm -fa -t 0 >/dev/null; }
        row "$count run -d at once" "$(at_once "$count" "${dhow[@]}" run -d --network none bench sleep 1000)" "${peers[@]}"
        "${dhow[@]}" rm -fa -t 0 >/dev/null
    done
fi
if wanted "cat"; then
    speed() { # COMMAND...: MB/s through it
        local begin end; begin=$(date +%s%N)
        head -c 2000000000 /dev/zero | "$@" | wc -c >"$dir/count"
        end=$(date +%s%N)
        [ "$(cat "$dir/count")" = 2000000000 ] || { echo "bytes were lost" >&2; exit 1; }
        awk -v n="$((end - begin))" 'BEGIN {printf "%.0f", 2e12/n}'
    }
    peers=(bare "$(speed cat)")
    p && peers+=(podman "$(speed "${podman[@]}" run -i --rm --network none bench cat)")
    row "run -i --rm IMG cat, MB/s (more is better)" "$(speed "${dhow[@]}" run -i --rm --network none bench cat)" "${peers[@]}"
fi
# shellcheck source=tests/bench/images.sh
. tests/bench/images.sh
