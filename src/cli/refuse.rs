//! One place that says no: flags of Docker and Podman that dhow knows but does not have, and words for which
//! it has something else.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::base::error::{Error, Explain, Kind, fail};

/// Flags that exist elsewhere, with what to do instead.
const FLAGS: &[(&str, &str)] = &[
    ("--all-platforms", "build for one platform at a time with `--platform`"),
    ("--attest", "no attestations are made"),
    ("--cache-from", "steps are kept in the store of this machine only"),
    ("--cache-to", "steps are kept in the store of this machine only"),
    ("--call", "checks are not supported yet"),
    ("--cdi-spec-dir", "CDI devices are not supported yet; show a device with `--device`"),
    ("--check", "checks are not supported yet"),
    ("--checkpoint", "checkpoints are not supported yet"),
    ("--checkpoint-dir", "checkpoints are not supported yet"),
    ("--chrootdirs", "not supported yet"),
    ("--cluster", "there is no swarm; volumes are local"),
    ("--compat-volumes", "what later steps write below a VOLUME is kept"),
    ("--conmon", "dhow supervises containers itself"),
    ("--conmon-pidfile", "dhow supervises containers itself; `--pidfile` writes the container's pid"),
    ("--connection", "there is no daemon to connect to"),
    ("--cpp-flag", "Dockerfiles are not preprocessed; run cpp on them before"),
    ("--cpu-count", "Windows only"),
    ("--cpu-percent", "Windows only"),
    ("--created-annotation", "not supported yet"),
    ("--cw", "confidential workloads are not supported"),
    ("--decryption-key", "encrypted images are not supported yet"),
    ("--encrypt-layer", "encrypted images are not supported yet"),
    ("--encryption-key", "encrypted images are not supported yet"),
    ("--gpus", "pass the device files with `--device`, for example `--device /dev/dri`"),
    ("--hooks-dir", "hooks from a directory are not supported yet"),
    ("--identity", "there is no remote service"),
    ("--imagestore", "use `--root`"),
    ("--inherit-annotations", "annotations of bases are not inherited"),
    ("--init-ctr", "pods are not supported yet"),
    ("--io-maxbandwidth", "Windows only"),
    ("--io-maxiops", "Windows only"),
    ("--isolation", "Windows only"),
    ("--kernel-memory", "the kernel dropped it; use `--memory`"),
    ("--layer-label", "not supported yet"),
    ("--link", "join a network, or use `--network container:NAME`"),
    ("--link-local-ip", "not supported yet"),
    ("--logsplit", "not supported yet"),
    ("--manifest", "build for one platform at a time, then combine the images"),
    ("--module", "not supported yet; use CONTAINERS_CONF_OVERRIDE"),
    ("--namespace", "not supported; use `--root`"),
    ("--os-feature", "not supported yet"),
    ("--os-version", "not supported yet"),
    ("--permissive", "not supported"),
    ("--pod", "pods are not supported yet"),
    ("--pod-id-file", "pods are not supported yet"),
    ("--push", "build, then `push`"),
    ("--rdt-class", "not supported"),
    ("--remote", "there is no remote service"),
    ("--runtime-flag", "the runtime is built in and takes no flags"),
    ("--save-stages", "stages have no images of their own"),
    ("--sbom-output", "no attestations are made"),
    ("--secret", "secrets are not supported yet; `-v FILE:/run/secrets/NAME:ro` shows a file"),
    ("--sign-by", "signatures are not supported yet; `cosign sign` and `skopeo` sign what was pushed"),
    ("--sign-by-sigstore", "signatures are not supported yet; `cosign sign` signs what was pushed"),
    (
        "--sign-by-sigstore-private-key",
        "signatures are not supported yet; `cosign sign` signs what was pushed",
    ),
    ("--sign-by-sq-fingerprint", "signatures are not supported yet"),
    ("--sign-passphrase-file", "signatures are not supported yet"),
    ("--source-policy-file", "not supported yet"),
    ("--ssh", "there is no remote service"),
    ("--stage-labels", "not supported yet"),
    ("--stdin", "commands of RUN have no input"),
    ("--syslog", "not supported; stderr is where dhow talks"),
    ("--tls", "there is no daemon"),
    ("--tlsverify", "there is no daemon"),
    ("--transient-store", "point `--root` at a tmpfs"),
    ("--unsetannotation", "annotations of bases are not inherited"),
    ("--url", "there is no daemon"),
    ("--use-api-socket", "there is no daemon"),
    ("--userns-gid-map", "RUN has the ids of the build"),
    ("--userns-gid-map-group", "RUN has the ids of the build"),
    ("--userns-uid-map", "RUN has the ids of the build"),
    ("--userns-uid-map-user", "RUN has the ids of the build"),
    ("--volumepath", "volumes lie under `--root`"),
];

/// The answer for a command that is planned.
const NOT_YET: &str = "it is not supported yet; `dhow --help` lists what is";

/// The answer for mounting containers.
const MOUNT: &str = "containers are not mounted on the host: `dhow cp` and `dhow export` read their files, \
                     `dhow image mount` mounts an image";

/// First words that belong to other tools, or to a later version.
const WORDS: &[(&str, &str)] = &[
    (
        "service",
        "there is no swarm: describe it in Kubernetes YAML, or run it with `dhow run -d --restart always`",
    ),
    ("swarm", "dhow has no cluster of its own: Kubernetes is the tool for several machines"),
    ("stack", "there is no swarm: describe it in Kubernetes YAML"),
    ("node", "there is no swarm: Kubernetes is the tool for several machines"),
    ("machine", "dhow runs on the Linux machine itself and needs no virtual machine"),
    ("docker-machine", "dhow runs on the Linux machine itself and needs no virtual machine"),
    ("context", "there is no daemon to choose: dhow works on this machine"),
    ("plugin", "there are no plugins"),
    ("trust", "signatures are decided by `policy.json`; `dhow image trust` shows it"),
    ("checkpoint", "checkpoints are not supported yet"),
    ("mount", MOUNT),
    ("umount", MOUNT),
    ("unmount", MOUNT),
    ("farm", "building on several machines is not supported"),
    ("compose", NOT_YET),
    ("generate", NOT_YET),
    ("kube", NOT_YET),
    ("network", NOT_YET),
    ("play", NOT_YET),
    ("pod", NOT_YET),
    ("quadlet", NOT_YET),
    ("secret", NOT_YET),
];

/// The refusal for a flag or word that is known from Docker or Podman; `None` for what nobody knows.
pub fn known(args: &[OsString], error: &clap::Error) -> Option<Error> {
    let typed = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let flag = typed(ContextKind::InvalidArg)?;
            let name = flag.split('=').next()?.to_owned();
            let (_, instead) = FLAGS.iter().find(|(known, _)| *known == name)?;
            let command = super::typed::command_words(args).join(" ");
            Some(flag_error(&name, &command).hint(*instead))
        }
        ErrorKind::InvalidSubcommand => {
            let word = typed(ContextKind::InvalidSubcommand)?;
            let (_, instead) = WORDS.iter().find(|(known, _)| *known == word)?;
            Some(fail(Kind::Usage, format!("dhow has no `{word}` command")).hint(*instead))
        }
        _ => None,
    }
}

/// The error for a flag that is understood but cannot be honoured.
pub fn flag_error(flag: &str, command: &str) -> Error {
    fail(Kind::Usage, format!("`{command}` does not support `{flag}`"))
}
