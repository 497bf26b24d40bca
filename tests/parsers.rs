//! Parsers of what others wrote never panic: the functions of the fuzz targets, over input that proptest makes. The
//! alphabets hold the words that a parser branches on, so that few cases reach deep.

use proptest::prelude::*;

#[path = "../fuzz/inputs.rs"]
mod inputs;

/// Words of a parser in any order, odd characters between them.
fn of(words: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![6 => prop::sample::select(words).prop_map(str::to_owned), 1 => ".{0,3}"];
    prop::collection::vec(word, 0..24).prop_map(|words| words.concat().into_bytes())
}

/// Any bytes.
fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..600)
}

const REFERENCE: &[&str] = &[
    "docker.io",
    "library",
    "/",
    ":",
    "@",
    "sha256:",
    "0123456789abcdef",
    "localhost",
    "-",
    ".",
    "_",
    "A",
    "[::1]",
];
const TRANSPORT: &[&str] = &[
    "docker://",
    "oci:",
    "oci-archive:",
    "docker-archive:",
    "dir:",
    "containers-storage:",
    "/tmp/a",
    "a.tar",
    ":",
    "@",
    "7",
    "busybox",
    "quay.io/",
    "[",
];
const AUTH: &[&str] = &[
    "{\"auths\":{",
    "\"quay.io\"",
    "\"https://index.docker.io/v1/\"",
    ":",
    "{\"auth\":",
    "\"YTpi\"",
    "\"!\"",
    "\"identitytoken\"",
    "\"username\"",
    "\"password\"",
    "null",
    "}",
    ",",
];
const MANIFEST: &[&str] = &[
    "{\"schemaVersion\":2",
    ",\"mediaType\":\"application/vnd.oci.image.index.v1+json\"",
    ",\"config\":",
    ",\"layers\":[",
    ",\"manifests\":[",
    "{\"mediaType\":\"x\",\"digest\":\"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"",
    ",\"size\":1}",
    ",\"size\":-1}",
    ",\"annotations\":null",
    "null",
    "]",
    "}",
    ",",
];
const POLICY: &[&str] = &[
    "{\"default\":",
    "[{\"type\":\"reject\"}]",
    "[{\"type\":\"signedBy\",\"keyPath\":\"/k\"}]",
    "[]",
    ",\"transports\":{",
    "\"docker\":{",
    "\"dir\":{",
    "\"\":",
    "\"*.b.c\":",
    "\"docker.io/library\":",
    ",",
    "}",
];
const MOUNT: &[&str] = &[
    "type=",
    "bind",
    "volume",
    "tmpfs",
    "image",
    "devpts",
    "glob",
    ",",
    "=",
    "src",
    "source",
    "dst",
    "target",
    "/a",
    ":",
    "ro",
    "rw",
    "true",
    "false",
    "idmap",
    "uids=0-1000-5",
    "#",
    "@",
    "tmpfs-mode",
    "1777",
    "size",
    "64m",
    "\"",
    "..",
    "bind-propagation",
    "rshared",
    "U",
    "Z",
    "99999999999999999999",
];
const ENV: &[&str] = &["A", "=", "\n", "\r\n", "#", " ", "\"", "'", "*", "\\", "\u{feff}", "\0", "PATH"];
const SECCOMP: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"defaultAction\"",
    "\"SCMP_ACT_ERRNO\"",
    "\"syscalls\"",
    "\"names\"",
    "\"read\"",
    "\"action\"",
    "\"args\"",
    "\"index\"",
    "\"value\"",
    "\"op\"",
    "\"SCMP_CMP_EQ\"",
    "9",
    "-1",
    "null",
    "\"archMap\"",
];
const TOML: &[&str] = &[
    "[containers]",
    "[engine]",
    "[[registry]]",
    "\n",
    "=",
    "\"",
    "env",
    "append",
    "{",
    "}",
    "[",
    "]",
    "prefix",
    "location",
    "*.x",
    "blocked",
    "true",
    "1",
    "short-name-mode",
    "unqualified-search-registries",
    ",",
    ".",
    "-1",
];

const DOCKERFILE: &[&str] = &[
    "FROM x",
    "FROM x AS a",
    "\n",
    "\r\n",
    " ",
    "\\\n",
    "# escape=`\n",
    "#",
    "ARG ",
    "ENV ",
    "a=",
    "LABEL ",
    "RUN ",
    "COPY ",
    "ADD ",
    "--from=",
    "--chmod=",
    "--mount=type=cache,target=",
    "--mount=type=secret,",
    "--exclude=",
    "<<EOF",
    "<<-'E'",
    "EOF\n",
    "E\n",
    "ONBUILD ",
    "CMD ",
    "[\"a\",\"b\"]",
    "EXPOSE ",
    "1-65535",
    "/udp",
    "HEALTHCHECK ",
    "--interval=1s ",
    "STOPSIGNAL ",
    "WORKDIR ",
    "$a",
    "${a",
    ":-",
    ":?",
    "##",
    "%",
    "//",
    "*",
    "?",
    "/",
    "}",
    "'",
    "\"",
    "\\",
    "`",
    "u=rwX,go=rX",
    "0755",
];
const IGNORE: &[&str] =
    &["a", "b", "/", "*", "**", "?", "[", "]", "^", "-", "\\", "!", "#", "\n", ".", "..", " ", "é"];

/// A header block that passes its checksum, so that what is behind the first check is reached.
fn tar_block() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop::sample::select(b"01234567gxLKSDV\0".as_slice());
    let size =
        prop_oneof![Just("00000000000".to_owned()), Just("00000001000".to_owned()), "[0-7]{11}", ".{11}"];
    let tail = prop::collection::vec(any::<u8>(), 0..1024);
    (prop::collection::vec(any::<u8>(), 0..100), size, kind, any::<bool>(), tail).prop_map(
        |(name, size, kind, gnu, tail)| {
            let mut block = vec![0u8; 512];
            block[..name.len()].copy_from_slice(&name);
            let size = size.as_bytes();
            block[124..124 + size.len().min(12)].copy_from_slice(&size[..size.len().min(12)]);
            block[156] = kind;
            block[257..265].copy_from_slice(if gnu { b"ustar  \0" } else { b"ustar\x0000" });
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
            block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
            block.extend(tail);
            block
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn references(words in of(REFERENCE), bytes in any_bytes()) {
        inputs::reference(&words);
        inputs::reference(&bytes);
    }

    #[test]
    fn transports(words in of(TRANSPORT), bytes in any_bytes()) {
        inputs::transport(&words);
        inputs::transport(&bytes);
    }

    #[test]
    fn files_of_logins(words in of(AUTH), bytes in any_bytes()) {
        inputs::auth_file(&words);
        inputs::auth_file(&bytes);
    }

    #[test]
    fn manifests(words in of(MANIFEST), bytes in any_bytes()) {
        inputs::manifest(&words);
        inputs::manifest(&bytes);
    }

    #[test]
    fn lists(words in of(MANIFEST), bytes in any_bytes()) {
        inputs::list(&words);
        inputs::list(&bytes);
    }

    #[test]
    fn policies(words in of(POLICY), bytes in any_bytes()) {
        inputs::policy(&words);
        inputs::policy(&bytes);
    }

    #[test]
    fn tars(blocks in prop::collection::vec(tar_block(), 0..6), bytes in any_bytes()) {
        inputs::tar_entries(&blocks.concat());
        inputs::tar_entries(&bytes);
    }

    #[test]
    fn mounts_and_volumes(words in of(MOUNT), bytes in any_bytes()) {
        for input in [&words, &bytes] {
            inputs::mount(input);
            inputs::volume(input);
        }
    }

    #[test]
    fn environment_files(words in of(ENV), bytes in any_bytes()) {
        inputs::env_file(&words);
        inputs::env_file(&bytes);
    }

    #[test]
    fn seccomp_profiles(words in of(SECCOMP), bytes in any_bytes()) {
        inputs::seccomp_profile(&words);
        inputs::seccomp_profile(&bytes);
    }

    #[test]
    fn configuration_files(words in of(TOML), bytes in any_bytes()) {
        for input in [&words, &bytes] {
            inputs::registries_conf(input);
            inputs::containers_conf(input);
        }
    }

    #[test]
    fn dockerfiles(words in of(DOCKERFILE), bytes in any_bytes()) {
        let begun = [b"FROM x\n", words.as_slice()].concat();
        for input in [&words, &begun, &bytes] {
            inputs::dockerfile(input);
        }
    }

    #[test]
    fn ignore_lists(words in of(IGNORE), bytes in any_bytes()) {
        inputs::dockerignore(&words);
        inputs::dockerignore(&bytes);
    }
}
