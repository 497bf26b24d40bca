//! Namespaces and network: modes, names of other containers turned into ids, what excludes what.

use super::{Context, CreateOptions, ImageFacts, Resolved, host};
use crate::base::error::{Context as _, Explain, Kind, Result, fail};
use crate::container::parse::{hosts, idmap, namespace, network, publish};
use crate::container::record::{Config, Namespace, Network, NetworkMode, UserNs};
use crate::ops::userns;

pub(super) fn resolve(
    context: &Context<'_>,
    options: &CreateOptions,
    image: &ImageFacts,
    resolved: &mut Resolved,
) -> Result<()> {
    let config = &mut resolved.config;
    let defaults = context.defaults;
    config.namespaces.pid = one(context, config, "pid", options.pid.as_deref(), &defaults.pidns)?;
    config.namespaces.ipc = one(context, config, "ipc", options.ipc.as_deref(), &defaults.ipcns)?;
    config.namespaces.uts = one(context, config, "uts", options.uts.as_deref(), &defaults.utsns)?;
    // Before the unified hierarchy a private cgroup namespace hides what programs look for.
    let cgroupns = match defaults.cgroupns.as_str() {
        "" if host::cgroup_v2() => "private",
        "" => "host",
        configured => configured,
    };
    config.namespaces.cgroup = one(context, config, "cgroup", options.cgroupns.as_deref(), cgroupns)?;
    user(context, options, config)?;
    config.network = names_and_files(context, options)?;
    mode(context, options, resolved)?;
    ports(options, image, resolved)?;
    hostname(options, &mut resolved.config)
}

fn one(
    context: &Context<'_>,
    config: &mut Config,
    kind: &str,
    flag: Option<&str>,
    default: &str,
) -> Result<Namespace> {
    let mode = match namespace::parse(kind, flag.unwrap_or_default())? {
        Some(mode) => mode,
        None => namespace::parse(kind, default)?.unwrap_or_default(),
    };
    match mode {
        Namespace::Container(text) => Ok(Namespace::Container(depend(context, config, &text)?)),
        other => Ok(other),
    }
}

/// Turns what was typed into a full id, and remembers that the container must run first.
fn depend(context: &Context<'_>, config: &mut Config, text: &str) -> Result<String> {
    let id = context.containers.resolve_id(text)?;
    if !config.depends.contains(&id) {
        config.depends.push(id.clone());
    }
    Ok(id)
}

fn user(context: &Context<'_>, options: &CreateOptions, config: &mut Config) -> Result<()> {
    let from_environment = context.caller.env.get("PODMAN_USERNS").map(String::as_str);
    let text = options.userns.as_deref().or(from_environment).unwrap_or(&context.defaults.userns);
    let mapped = !options.uidmap.is_empty()
        || !options.gidmap.is_empty()
        || options.subuidname.is_some()
        || options.subgidname.is_some();
    if mapped && options.userns.as_deref().is_some_and(|text| !matches!(text, "" | "private")) {
        let message = "--userns excludes --uidmap, --gidmap, --subuidname and --subgidname";
        return Err(fail(Kind::Usage, message));
    }
    let parsed = idmap::parse_userns(if mapped { "private" } else { text })?;
    if let idmap::UserNsArg::Container(text) = &parsed {
        let id = depend(context, config, text)?;
        config.namespaces.user = UserNs::Container(id);
        return Ok(());
    }
    let decided = userns::decide(context, options, &parsed)?;
    config.namespaces.user = decided.namespace;
    if let Some(user) = decided.user {
        config.process.user = user;
    }
    if let Some(note) = decided.annotation {
        config.annotations.insert(userns::ANNOTATION.into(), note);
    }
    Ok(())
}

fn names_and_files(context: &Context<'_>, options: &CreateOptions) -> Result<Network> {
    let defaults = context.defaults;
    let or =
        |flag: &[String], default: &[String]| if flag.is_empty() { default.to_vec() } else { flag.to_vec() };
    let mut network = Network {
        dns: hosts::parse_dns(&or(&options.dns, &defaults.dns_servers))?,
        dns_search: hosts::parse_dns_search(&or(&options.dns_search, &defaults.dns_searches))?,
        dns_options: hosts::parse_dns_options(&or(&options.dns_option, &defaults.dns_options))?,
        no_hosts: options.no_hosts || defaults.no_hosts,
        no_hostname: options.no_hostname,
        hosts_file: options.hosts_file.clone().unwrap_or_else(|| defaults.base_hosts_file.clone()),
        publish_all: options.publish_all,
        ..Network::default()
    };
    for text in &options.add_host {
        network.hosts.extend(hosts::parse_add_host(text)?);
    }
    if options.no_hosts && (!options.add_host.is_empty() || options.hosts_file.is_some()) {
        return Err(fail(Kind::Usage, "--no-hosts excludes --add-host and --hosts-file"));
    }
    if network.hosts_file.contains('\0') {
        return Err(fail(Kind::Usage, "--hosts-file contains a NUL byte"));
    }
    if !matches!(network.hosts_file.as_str(), "" | "image" | "none") {
        network.hosts_file = context.caller.cwd.join(&network.hosts_file).to_string_lossy().into_owned();
    }
    Ok(network)
}

fn mode(context: &Context<'_>, options: &CreateOptions, resolved: &mut Resolved) -> Result<()> {
    let typed = match network::parse(&options.network)? {
        None => {
            network::parse(std::slice::from_ref(&context.defaults.netns)).context("containers.conf: netns")?
        }
        typed => typed,
    };
    let mode = match typed {
        Some(NetworkMode::Container(text)) => {
            NetworkMode::Container(depend(context, &mut resolved.config, &text)?)
        }
        Some(NetworkMode::Pasta(_)) if !host::has_program("pasta") => return Err(missing_program("pasta")),
        Some(NetworkMode::Slirp4netns(_)) if !host::has_program("slirp4netns") => {
            return Err(missing_program("slirp4netns"));
        }
        Some(mode) => mode,
        None if !context.rootless() => NetworkMode::Private,
        None if host::has_program("pasta") => NetworkMode::Pasta(Vec::new()),
        None if host::has_program("slirp4netns") => NetworkMode::Slirp4netns(Vec::new()),
        None => NetworkMode::Private,
    };
    resolved.config.network.mode = mode;
    Ok(())
}

fn missing_program(name: &str) -> crate::base::error::Error {
    fail(Kind::Failed, format!("--network {name}: the program `{name}` is not installed"))
        .hint(format!("install {name} (Debian: the package passt or slirp4netns), or use --network host"))
}

fn ports(options: &CreateOptions, image: &ImageFacts, resolved: &mut Resolved) -> Result<()> {
    let network = &mut resolved.config.network;
    for text in &options.publish {
        network.ports.extend(publish::parse(text)?);
    }
    for text in &options.expose {
        network.exposed.extend(publish::parse_expose(text)?);
    }
    for text in &image.exposed {
        network.exposed.extend(publish::parse_expose(text).context("read the image's exposed ports")?);
    }
    network.exposed.sort();
    network.exposed.dedup();
    if network.ports.is_empty() {
        return Ok(());
    }
    match network.mode {
        NetworkMode::Host => {
            network.ports.clear();
            resolved
                .warnings
                .push("published ports are discarded: the container has the host's network".into());
            Ok(())
        }
        NetworkMode::Pasta(_) | NetworkMode::Slirp4netns(_) => Ok(()),
        NetworkMode::Private => Err(fail(
            Kind::Usage,
            "--publish is not supported yet where no user-mode network serves the container",
        )
        .hint("install pasta, or use --network host")),
        _ => Err(fail(Kind::Usage, "--publish needs a network of the container's own")),
    }
}

fn hostname(options: &CreateOptions, config: &mut Config) -> Result<()> {
    let Some(name) = options.hostname.as_deref().filter(|name| !name.is_empty()) else {
        return domain(options, config);
    };
    let private = matches!(config.namespaces.uts, Namespace::Private);
    if !private {
        return Err(fail(Kind::Usage, "--hostname needs a UTS namespace of the container's own"));
    }
    config.network.hostname = hosts::parse_hostname(name)?;
    domain(options, config)
}

/// Docker's `--domainname` is a sysctl of the UTS namespace.
fn domain(options: &CreateOptions, config: &mut Config) -> Result<()> {
    let Some(name) = options.domainname.as_deref().filter(|name| !name.is_empty()) else { return Ok(()) };
    if config.namespaces.uts != Namespace::Private {
        return Err(fail(Kind::Usage, "--domainname needs a UTS namespace of the container's own"));
    }
    let name = hosts::parse_hostname(name)?;
    config.security.sysctls.insert("kernel.domainname".into(), name);
    Ok(())
}
