//! Which capabilities a container's process has, and in which of the five sets.

use std::collections::HashSet;
use std::str::FromStr;

use oci_spec::runtime::{Capabilities, Capability, LinuxCapabilities, LinuxCapabilitiesBuilder};

use crate::base::error::{Context, Result};
use crate::container::parse::caps::NAMES;
use crate::container::record::Security;
use crate::runtime::defaults;
use crate::sys::caps as kernel;

/// The names of the default set, `CAP_…`.
pub fn default_names() -> Vec<String> {
    defaults::CAPABILITIES.iter().map(|capability| capability.to_string()).map(full).collect()
}

pub(super) fn full(name: String) -> String {
    if name.starts_with("CAP_") { name } else { format!("CAP_{name}") }
}

fn capability(name: &str) -> Result<Capability> {
    Capability::from_str(name.strip_prefix("CAP_").unwrap_or(name))
        .or_else(|_| Capability::from_str(name))
        .map_err(|_| crate::base::error::anyhow!("capability `{name}` is not known to this build"))
}

/// All that this process could give: nobody hands on what he has not.
fn all() -> Result<HashSet<Capability>> {
    let bounding = kernel::bounding();
    let have = NAMES.iter().enumerate().filter(|(number, _)| bounding >> number & 1 == 1);
    have.map(|(_, name)| capability(name)).collect()
}

/// The bounding set: the defaults (or all with `--privileged`), with what was added, without what was dropped.
pub fn bounding(security: &Security) -> Result<Capabilities> {
    let drop_all = security.cap_drop.iter().any(|name| name == "ALL");
    let add_all = security.cap_add.iter().any(|name| name == "ALL");
    let mut set = match (security.privileged || add_all, drop_all && !add_all) {
        (_, true) => HashSet::new(),
        (true, _) => all()?,
        (false, _) => defaults::CAPABILITIES.into_iter().collect(),
    };
    for name in security.cap_add.iter().filter(|name| *name != "ALL") {
        set.insert(capability(name)?);
    }
    for name in security.cap_drop.iter().filter(|name| *name != "ALL") {
        set.remove(&capability(name)?);
    }
    Ok(set)
}

/// The five sets. Root has all of the bounding set. Another user has none, but what was added by name: those in
/// all sets, ambient included, or they would be gone at exec. Inheritable and ambient are empty otherwise
/// (CVE-2022-24769: a non-empty inheritable set turns file capabilities on).
pub fn sets(security: &Security, uid: u32) -> Result<LinuxCapabilities> {
    let bounding = bounding(security)?;
    let none = Capabilities::new;
    let (permitted, handed_on) = if uid == 0 {
        (bounding.clone(), none())
    } else {
        let named = security.cap_add.iter().filter(|name| *name != "ALL");
        let added = named.map(|name| capability(name)).collect::<Result<HashSet<_>>>()?;
        let added: Capabilities =
            added.into_iter().filter(|capability| bounding.contains(capability)).collect();
        (added.clone(), added)
    };
    LinuxCapabilitiesBuilder::default()
        .bounding(bounding)
        .effective(permitted.clone())
        .permitted(permitted)
        .inheritable(handed_on.clone())
        .ambient(handed_on)
        .build()
        .context("assemble the capabilities")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn security(add: &[&str], drop: &[&str]) -> Security {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Security { cap_add: list(add), cap_drop: list(drop), ..Security::default() }
    }

    #[test]
    fn every_name_of_the_parser_is_known() {
        for name in NAMES {
            capability(name).unwrap();
        }
        assert_eq!(default_names().len(), 11);
        assert!(default_names().contains(&"CAP_NET_BIND_SERVICE".to_owned()));
    }

    #[test]
    fn names_are_added_and_dropped() {
        assert_eq!(bounding(&security(&[], &[])).unwrap().len(), 11);
        assert_eq!(bounding(&security(&["CAP_NET_RAW"], &["CAP_CHOWN"])).unwrap().len(), 11);
        assert_eq!(bounding(&security(&["CAP_NET_RAW"], &["ALL"])).unwrap(), [Capability::NetRaw].into());
        assert!(bounding(&security(&[], &["ALL"])).unwrap().is_empty());
        assert!(bounding(&security(&["ALL"], &[])).unwrap().contains(&Capability::Chown));
    }

    #[test]
    fn another_user_has_only_what_was_added() {
        let root = sets(&security(&[], &[]), 0).unwrap();
        assert_eq!(root.effective().as_ref().unwrap().len(), 11);
        assert!(
            root.inheritable().as_ref().unwrap().is_empty() && root.ambient().as_ref().unwrap().is_empty()
        );
        let user = sets(&security(&["CAP_NET_RAW"], &[]), 1000).unwrap();
        assert_eq!(user.bounding().as_ref().unwrap().len(), 12);
        for set in [user.effective(), user.permitted(), user.inheritable(), user.ambient()] {
            assert_eq!(set.as_ref().unwrap(), &[Capability::NetRaw].into());
        }
    }
}
