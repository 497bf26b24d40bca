# Rows about builds; read by tests/bench.sh, whose functions and variables it uses.
# shellcheck disable=SC2154
if wanted "build"; then
    context=$dir/context
    mkdir -p "$context/many"
    for n in $(seq 10000); do echo "$n" >"$context/many/$n"; done
    seq 1000 >"$context/one"
    steps() { echo "FROM localhost/bench"; for n in 1 2 3 4 5; do printf 'RUN echo %d > /f%d\nCOPY one /c%d\n' "$n" "$n" "$n"; done; }
    steps >"$context/steps"
    printf 'FROM localhost/bench\nCOPY many /many\n' >"$context/files"
    { for n in 1 2 3; do printf 'FROM localhost/bench AS s%d\nRUN sleep 2; echo %d > /f%d\n' "$n" "$n" "$n"; done
      printf 'FROM scratch\n'; for n in 1 2 3; do printf 'COPY --from=s%d /f%d /\n' "$n" "$n"; done; } >"$context/stages"
    printf 'steps\nfiles\nstages\n' >"$context/.dockerignore"
    ours() { echo "${dhow[*]} build -q $1 -f $context/$2 $context"; }
    theirs() { echo "${podman[*]} build -q --isolation chroot --layers $1 -f $context/$2 $context"; }
    tar_tar="rm -rf $dir/copied && mkdir $dir/copied && tar -C $context/many -cf - . | tar -C $dir/copied -xf -"
    peers=(); p && peers+=(podman "$(median 2 '' bash -c "$(theirs --no-cache steps)")")
    row "build, ten RUN and COPY steps, no cache" "$(median 10 '' bash -c "$(ours --no-cache steps)")" "${peers[@]}"
    peers=(); p && peers+=(podman "$(median 2 '' bash -c "$(theirs '' steps)")")
    row "the same, all cached" "$(median 20 '' bash -c "$(ours '' steps)")" "${peers[@]}"
    peers=("tar to tar" "$(median 5 '' bash -c "$tar_tar")")
    p && peers+=(podman "$(median 2 '' bash -c "$(theirs --no-cache files)")")
    row "build, COPY of 10,000 small files" "$(median 5 '' bash -c "$(ours --no-cache files)")" "${peers[@]}"
    change="date +%s%N >$context/many/5000"
    peers=("tar to tar" "$(median 5 '' bash -c "$tar_tar")")
    p && peers+=(podman "$(median 2 "$change" bash -c "$(theirs '' files)")")
    row "the same, one file changed" "$(median 5 "$change" bash -c "$(ours '' files)")" "${peers[@]}"
    peers=("the longest" 2000); p && peers+=("podman --jobs 3" "$(median 1 '' bash -c "$(theirs '--no-cache --jobs 3' stages)")")
    row "build, three stages of two seconds" "$(median 2 '' bash -c "$(ours '--no-cache --jobs 3' stages)")" "${peers[@]}"
fi
