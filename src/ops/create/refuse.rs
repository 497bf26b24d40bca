//! What is understood but cannot be honoured yet: refused by name, never ignored in silence.

use super::CreateOptions;
use crate::base::error::{Explain, Kind, Result, fail};

/// Refuses every flag that would otherwise have no effect.
pub(super) fn unsupported(options: &CreateOptions) -> Result<()> {
    let o = options;
    let given = [
        ("--pod", o.pod.is_some()),
        ("--pod-id-file", o.pod_id_file.is_some()),
        ("--init-ctr", o.init_ctr.is_some()),
        ("--secret", !o.secret.is_empty()),
        ("--gpus", !o.gpus.is_empty()),
        ("--ip", o.ip.is_some()),
        ("--ip6", o.ip6.is_some()),
        ("--mac-address", o.mac_address.is_some()),
        ("--network-alias", !o.network_alias.is_empty()),
        ("--link", !o.link.is_empty()),
        ("--link-local-ip", !o.link_local_ip.is_empty()),
        ("--publish-all", o.publish_all),
        ("--chrootdirs", !o.chrootdirs.is_empty()),
        ("--hostuser", !o.hostuser.is_empty()),
        ("--rdt-class", o.rdt_class.is_some()),
        ("--decryption-key", !o.decryption_key.is_empty()),
        ("--conmon-pidfile", o.conmon_pidfile.is_some()),
        ("--seccomp-policy", o.seccomp_policy.as_deref().is_some_and(|policy| policy != "default")),
        ("--volume-driver", o.volume_driver.as_deref().is_some_and(|driver| driver != "local")),
    ];
    if let Some((flag, _)) = given.iter().find(|(_, given)| *given) {
        return Err(fail(Kind::Usage, format!("{flag} is not supported yet")));
    }
    if !o.storage_opt.is_empty() {
        return Err(fail(Kind::Usage, "--storage-opt: a container has no disk quota of its own").hint(
            "put the store (`--root`) on a file system with a quota, or bound a mount: --tmpfs /dir:size=64m",
        ));
    }
    if o.sdnotify.as_deref().is_some_and(|mode| mode != "ignore") {
        return Err(fail(Kind::Usage, "--sdnotify: nothing is told to systemd when a container is ready")
            .hint("use --sdnotify=ignore, and `Type=exec` or `Type=forking` with --pidfile in the unit"));
    }
    if o.init_path.is_some() {
        return Err(fail(Kind::Usage, "--init-path: the init program is built in").hint("use --init alone"));
    }
    Ok(())
}
