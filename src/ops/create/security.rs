//! Capabilities, profiles, masks, sysctls.

use super::{Context, CreateOptions, Resolved};
use crate::base::error::{Kind, Result, fail};
use crate::container::parse::{caps, security, sysctl};
use crate::container::record::{Config, Namespace, NetworkMode, Seccomp};
use crate::runtime::seccomp::Profile;

pub(super) fn resolve(context: &Context<'_>, options: &CreateOptions, resolved: &mut Resolved) -> Result<()> {
    let config = &mut resolved.config;
    let asked = security::parse(&options.security_opt)?;
    let defaults = context.defaults;
    let security = &mut config.security;
    security.privileged = options.privileged || defaults.privileged;
    security.cap_add = caps::parse_all(&options.cap_add)?;
    security.cap_drop = caps::parse_all(&options.cap_drop)?;
    if let Some(both) = security.cap_add.iter().find(|name| security.cap_drop.contains(name)) {
        return Err(fail(Kind::Usage, format!("capability `{both}` is both added and dropped")));
    }
    security.no_new_privileges = asked.no_new_privileges.unwrap_or(false);
    security.apparmor =
        asked.apparmor.or_else(|| Some(defaults.apparmor_profile.clone()).filter(|p| !p.is_empty()));
    security.labels = asked.labels;
    if security.labels.is_empty() && !defaults.label {
        security.labels.push("disable".into());
    }
    (security.mask, security.unmask, security.proc_opts) = (asked.mask, asked.unmask, asked.proc_opts);
    security.seccomp = seccomp(context, asked.seccomp)?;
    default_capabilities(context, config)?;
    sysctls(context, options, resolved)
}

fn seccomp(context: &Context<'_>, asked: Option<Seccomp>) -> Result<Seccomp> {
    let configured = Some(context.defaults.seccomp_profile.as_str()).filter(|profile| !profile.is_empty());
    let choice = match (asked, configured) {
        (Some(choice), _) => choice,
        (None, Some("unconfined")) => Seccomp::Unconfined,
        (None, Some(path)) => Seccomp::Profile(path.into()),
        (None, None) => Seccomp::Default,
    };
    let Seccomp::Profile(path) = choice else { return Ok(choice) };
    let path = context.caller.cwd.join(path);
    Profile::read(&path)?; // a bad profile stops the create, not only the start
    Ok(Seccomp::Profile(path))
}

/// `default_capabilities` of containers.conf, expressed as what differs from the built-in eleven.
fn default_capabilities(context: &Context<'_>, config: &mut Config) -> Result<()> {
    let Some(wanted) = &context.defaults.default_capabilities else { return Ok(()) };
    let wanted = caps::parse_all(wanted)?;
    let built_in = crate::ops::spec::caps::default_names();
    let security = &mut config.security;
    for name in built_in.iter().filter(|name| !wanted.contains(name)) {
        if !security.cap_add.contains(name) && !security.cap_add.iter().any(|name| name == "ALL") {
            security.cap_drop.push(name.clone());
        }
    }
    for name in wanted.iter().filter(|name| !built_in.contains(name)) {
        if !security.cap_drop.contains(name) && !security.cap_drop.iter().any(|name| name == "ALL") {
            security.cap_add.push(name.clone());
        }
    }
    Ok(())
}

/// A sysctl of a namespace that is not the container's own would change the host's.
fn sysctls(context: &Context<'_>, options: &CreateOptions, resolved: &mut Resolved) -> Result<()> {
    let config = &mut resolved.config;
    for text in &context.defaults.default_sysctls {
        let (name, value, scope) = sysctl::parse(text)?;
        if owns(config, scope) {
            config.security.sysctls.insert(name, value);
        }
    }
    for text in &options.sysctl {
        let (name, value, scope) = sysctl::parse(text)?;
        if !owns(config, scope) {
            let message = format!("--sysctl {name} needs a namespace of the container's own, not the host's");
            return Err(fail(Kind::Usage, message));
        }
        config.security.sysctls.insert(name, value);
    }
    Ok(())
}

fn owns(config: &Config, scope: sysctl::Scope) -> bool {
    let namespaces = &config.namespaces;
    match scope {
        sysctl::Scope::Ipc => !matches!(namespaces.ipc, Namespace::Host | Namespace::Container(_)),
        sysctl::Scope::Uts => !matches!(namespaces.uts, Namespace::Host | Namespace::Container(_)),
        sysctl::Scope::Net => !matches!(config.network.mode, NetworkMode::Host | NetworkMode::Container(_)),
    }
}
