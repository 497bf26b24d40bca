# Images and registries: pull, push, save, load, export, import, commit. Sourced by tests/bench.sh, whose functions and
# variables it uses. Layers are cut from this machine's /usr; registries are Debian's docker-registry on loopback.

inflate='gzip -d'; has igzip && inflate='igzip -d'

registry_at() { # PORT DIRECTORY
    printf 'version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "127.0.0.1:%s", secret: x}\n' "$2" "$1" >"$2.yml"
    docker-registry serve "$2.yml" >/dev/null 2>&1 &
    registries="$registries $!"
    until curl -fsS "http://127.0.0.1:$1/v2/" >/dev/null 2>&1; do :; done
}
cut_layers() { # PREFIX COUNT BYTES: PREFIX1.tar … of that many bytes of files each
    find /usr -xdev -type f -printf '%s %P\n' 2>/dev/null | LC_ALL=C sort -k2 |
        awk -v count="$2" -v bytes="$3" -v list="$1" 'n < count { size = $1; sub(/^[0-9]+ /, ""); print > (list (n + 1) ".list")
            sum += size; if (sum >= bytes) { n++; sum = 0 } }'
    local n
    for n in $(seq "$2"); do
        tar -C /usr --verbatim-files-from -T "$1$n.list" -cf "$1$n.tar" && rm "$1$n.list"
    done
}
put() { # REPOSITORY FILE: a blob into the registry
    local location
    location=$(curl -fsS -X POST -D - -o /dev/null "$base/$1/blobs/uploads/" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
    curl -fsS -X PUT -H 'Content-Type: application/octet-stream' --data-binary "@$2" "$location&digest=sha256:$(sha256sum "$2" | cut -d' ' -f1)"
}
serve() { # NAME gzip|zstd LAYER...: an image of these archives into the registry; leaves LAYER.gzip or LAYER.zstd
    local name=$1 form=$2 ids='' layers='' file packed
    shift 2
    for file in "$@"; do
        packed=$file.$form
        if [ "$form" = zstd ]; then zstd -3 -q -c "$file" >"$packed"; else gzip -c "$file" >"$packed"; fi
        put "$name" "$packed"
        ids="$ids${ids:+,}\"sha256:$(sha256sum "$file" | cut -d' ' -f1)\""
        layers="$layers${layers:+,}{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+$form\",\"digest\":\"sha256:$(sha256sum "$packed" | cut -d' ' -f1)\",\"size\":$(stat -c %s "$packed")}"
    done
    printf '{"architecture":"amd64","os":"linux","config":{"Cmd":["sh"]},"rootfs":{"type":"layers","diff_ids":[%s]}}' "$ids" >"$dir/c.json"
    put "$name" "$dir/c.json"
    printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%d},"layers":[%s]}' \
        "$(sha256sum "$dir/c.json" | cut -d' ' -f1)" "$(stat -c %s "$dir/c.json")" "$layers" >"$dir/m.json"
    curl -fsS -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary "@$dir/m.json" "$base/$name/manifests/latest"
}
pipe() { # NAME UNPACKER PACKED...: median of curl, a decompressor and tar, layer after layer
    local name=$1 unpacker=$2 script="rm -rf $dir/x && mkdir $dir/x" file
    shift 2
    for file in "$@"; do
        script="$script && curl -fsS $base/$name/blobs/sha256:$(sha256sum "$file" | cut -d' ' -f1) | $unpacker | tar -C $dir/x -x"
    done
    median 3 '' bash -c "$script"
    rm -rf "$dir/x"
}
pull_row() { # TITLE NAME gzip|zstd LAYER...
    local title=$1 name=$2 form=$3 unpacker=$inflate peers
    shift 3
    local from=127.0.0.1:$port/$name
    [ "$form" = gzip ] || unpacker='zstd -d -q'
    serve "$name" "$form" "$@"
    peers=("curl, ${unpacker%% *} and tar" "$(pipe "$name" "$unpacker" "${@/%/.$form}")")
    if p; then
        peers+=(podman "$(median 3 "${podman[*]} rmi -f -i $from" "${podman[@]}" pull -q --tls-verify=false "$from")")
        "${podman[@]}" rmi -f -i "$from" >/dev/null
    fi
    row "pull, $title, $form" "$(median 5 "${dhow[*]} rmi -f --ignore $from" "${dhow[@]}" pull -q "$from")" "${peers[@]}"
    rm -f "${@/%/.$form}"
}
peak() { # COMMAND...: peak memory in MiB
    python3 -c 'import os, sys
_, status, used = os.wait4(os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ), 0)
print(round(used.ru_maxrss / 1024, 1))' "$@"
}

if { wanted pull || wanted push || wanted files; } && has docker-registry; then
    port=5057 base=http://127.0.0.1:5057/v2
    registry_at $port "$dir/registry"
    cut_layers "$dir/one" 1 150000000
    one=127.0.0.1:$port/one
fi
if wanted pull && has docker-registry; then
    pull_row "one layer of 150 MB" one gzip "$dir/one1.tar"
    row "pull again, all present" "$(median 20 '' "${dhow[@]}" pull -q "$one")" \
        $(p && "${podman[@]}" pull -q --tls-verify=false "$one" >/dev/null && echo podman "$(median 5 '' "${podman[@]}" pull -q --tls-verify=false "$one")")
    pull_row "one layer of 150 MB" one-zstd zstd "$dir/one1.tar"
    many=()
    for n in $(seq 30); do
        mkdir -p "$dir/l/d$n" && head -c 800000 /dev/urandom | split -b 20000 - "$dir/l/d$n/f" && tar -C "$dir/l" -cf "$dir/l$n.tar" "d$n" && rm -rf "$dir/l"
        many+=("$dir/l$n.tar")
    done
    pull_row "30 layers, 24 MB" many gzip "${many[@]}"
    cut_layers "$dir/large" 1 500000000
    pull_row "one layer of 500 MB" large gzip "$dir/large1.tar"
    "${dhow[@]}" rmi -f "127.0.0.1:$port/large" >/dev/null
    memory=$(peak "${dhow[@]}" pull -q "127.0.0.1:$port/large" | tail -1)
    echo "| peak memory of that pull | $memory MiB | - | - |"
    "${dhow[@]}" rmi -f "127.0.0.1:$port/large" >/dev/null
    rm "$dir/large1.tar"
    cut_layers "$dir/six" 6 117000000
    pull_row "six layers, 700 MB" six gzip "$dir"/six?.tar
    "${dhow[@]}" rmi -f "127.0.0.1:$port/six" >/dev/null
    pull_row "six layers, 700 MB" six-zstd zstd "$dir"/six?.tar
    "${dhow[@]}" rmi -f "127.0.0.1:$port/six-zstd" >/dev/null
    rm "$dir"/six?.tar
fi

# --- one image of 150 MB that no registry has seen, in every store
fresh() { # the image, and nothing else of it, in the stores of dhow and podman
    archive localhost/fresh:latest "$dir/one1.tar" >"$dir/fresh.tar"
    "${dhow[@]}" load -q -i "$dir/fresh.tar" >/dev/null
    ! p || "${podman[@]}" load -q -i "$dir/fresh.tar" >/dev/null
}
if wanted push && has docker-registry; then
    "${dhow[@]}" rmi -f --ignore "$one" "$one-zstd" >/dev/null
    ! p || "${podman[@]}" rmi -f -i "$one" >/dev/null
    fresh
    registry_at 5058 "$dir/target"
    to=127.0.0.1:5058/fresh
    peers=()
    empty="rm -rf $dir/target/docker"
    p && peers+=(podman "$(median 3 "$empty" "${podman[@]}" push -q --tls-verify=false localhost/fresh "$to")")
    has skopeo && peers+=(skopeo "$(median 3 "$empty" skopeo --insecure-policy copy -q --dest-tls-verify=false "docker-archive:$dir/fresh.tar" "docker://$to")")
    row "push of 150 MB to an empty registry" "$(median 3 "$empty" "${dhow[@]}" push -q --tls-verify=false localhost/fresh "$to")" "${peers[@]}"
    peers=()
    p && peers+=(podman "$(median 5 '' "${podman[@]}" push -q --tls-verify=false localhost/fresh "$to")")
    row "push again, all there" "$(median 20 '' "${dhow[@]}" push -q --tls-verify=false localhost/fresh "$to")" "${peers[@]}"
fi
if wanted files && has docker-registry; then
    fresh
    mkdir "$dir/x" && tar -C "$dir/x" -xf "$dir/one1.tar"
    packing=$(median 5 '' tar -C "$dir/x" -cf "$dir/x.tar" .)
    unpacking=$(median 5 "rm -rf $dir/y; mkdir $dir/y" tar -C "$dir/y" -xf "$dir/x.tar")
    rm -rf "$dir/x" "$dir/y"
    peers=("tar -c" "$packing")
    p && peers+=(podman "$(median 3 "rm -f $dir/s.tar" "${podman[@]}" save -q -o "$dir/s.tar" localhost/fresh)")
    row "save, 150 MB" "$(median 5 "rm -f $dir/s.tar" "${dhow[@]}" save -q -o "$dir/s.tar" localhost/fresh)" "${peers[@]}"
    peers=("tar -x" "$unpacking")
    p && peers+=(podman "$(median 3 "${podman[*]} rmi -f fresh" "${podman[@]}" load -q -i "$dir/s.tar")")
    row "load into an empty store" "$(median 5 "${dhow[*]} rmi -f --ignore fresh" "${dhow[@]}" load -q -i "$dir/s.tar")" "${peers[@]}"
    peers=("tar -c" "$packing")
    "${dhow[@]}" create --name exported localhost/fresh true >/dev/null
    p && { "${podman[@]}" create --name exported localhost/fresh true >/dev/null
           peers+=(podman "$(median 3 '' "${podman[@]}" export -o "$dir/e.tar" exported)")
           "${podman[@]}" rm exported >/dev/null; }
    row "export, 150 MB" "$(median 5 '' "${dhow[@]}" export -o "$dir/e.tar" exported)" "${peers[@]}"
    "${dhow[@]}" rm exported >/dev/null 2>&1
    peers=("tar -x" "$unpacking")
    p && peers+=(podman "$(median 3 "${podman[*]} rmi -f -i imported" "${podman[@]}" import -q "$dir/e.tar" imported)")
    row "import, 150 MB" "$(median 5 "${dhow[*]} rmi -f --ignore imported" "${dhow[@]}" import -q "$dir/e.tar" imported)" "${peers[@]}"
fi
if wanted commit; then
    script='mkdir /d; i=0; while [ $i -lt 1000 ]; do echo "file number $i, with something in it" >/d/$i; i=$((i + 1)); done'
    "${dhow[@]}" run --name changed --network none bench sh -c "$script"
    peers=()
    p && { "${podman[@]}" run --name changed --network none bench sh -c "$script"
           peers+=(podman "$(median 5 "${podman[*]} rmi -f -i committed" "${podman[@]}" commit -q changed committed)")
           "${podman[@]}" rm -f changed >/dev/null; }
    row "commit of 1,000 changed files" "$(median 20 "${dhow[*]} rmi -f --ignore committed" "${dhow[@]}" commit -q changed committed)" "${peers[@]}"
    "${dhow[@]}" rm changed >/dev/null 2>&1
fi
