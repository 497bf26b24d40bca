//! An ordinary user's way into a container: the user namespace comes before everything else.

use std::os::fd::AsFd;
use std::path::Path;

use oci_spec::runtime::{LinuxNamespaceType, Spec};

use crate::base::error::{Explain, Result};
use crate::runtime::plan;
use crate::sys::userns;

/// Enters the user namespace that the specification asks for, and takes it out of there: without root only its
/// owner may open the root file system and the sources of mounts. A specification without one gets the user's
/// whole range of sub-ids, as does one without maps.
pub(super) fn enter(spec: &mut Spec) -> Result<()> {
    let Some(linux) = spec.linux_mut() else { return Ok(()) };
    let namespaces = linux.namespaces_mut().get_or_insert_default();
    let at = namespaces.iter().position(|namespace| namespace.typ() == LinuxNamespaceType::User);
    let asked = at.map(|at| namespaces.remove(at));
    let uids = plan::id_maps(linux.uid_mappings().as_ref());
    let gids = plan::id_maps(linux.gid_mappings().as_ref());
    linux.set_uid_mappings(None).set_gid_mappings(None);
    let joined =
        asked.as_ref().and_then(|asked| asked.path().as_deref()).filter(|path| *path != Path::new(""));
    match joined {
        Some(path) => userns::join(plan::open_namespace(path)?.as_fd()),
        // As crun has it: without maps all that the user may map.
        None if uids.is_empty() || gids.is_empty() => {
            userns::enter(rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
                .map(|_| ())
        }
        None => userns::enter_mapped(&uids, &gids)
            .hint("without root, ids other than one's own must be in /etc/subuid and /etc/subgid"),
    }
}
