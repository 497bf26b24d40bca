//! /etc/hosts and /etc/resolv.conf.

use std::net::IpAddr;
use std::path::Path;

use super::{Etc, PASTA_DNS};
use crate::base::error::{Context, Explain, Kind, Result, fail};
use crate::base::fs;
use crate::container::parse::hosts::HOST_GATEWAY;
use crate::container::record::NetworkMode;
use crate::ops::spec::user::LIMIT;

/// The names by which programs look for the host, Podman's and Docker's.
const HOST_NAMES: &str = "host.containers.internal host.docker.internal";
/// Where slirp4netns shows the host, and its name server.
const SLIRP_HOST: &str = "10.0.2.2";
const SLIRP_DNS: &str = "10.0.2.3";
/// Where systemd-resolved keeps the servers that it asks itself.
const RESOLVED: &str = "/run/systemd/resolve/resolv.conf";

/// The content of /etc/hosts; `None` leaves the image's.
pub(super) fn hosts(etc: &Etc<'_>, hostname: &str) -> Result<Option<Vec<u8>>> {
    let network = &etc.config.network;
    if network.no_hosts {
        return Ok(None);
    }
    if let NetworkMode::Container(id) = &network.mode {
        return fs::read_optional(&(etc.dir_of)(id).join("hosts"));
    }
    let gateway = gateway(&network.mode);
    let mut lines: Vec<String> = Vec::new();
    for entry in &network.hosts {
        let (name, address) = entry.split_once(':').unwrap_or((entry, ""));
        let address = match (address, gateway) {
            (HOST_GATEWAY, Some(gateway)) => gateway,
            (HOST_GATEWAY, None) => return Err(no_gateway(name)),
            (address, _) => address,
        };
        lines.push(format!("{address}\t{name}"));
    }
    lines.extend(base(etc)?.lines().map(str::to_owned));
    let mut add = |address: &str, names: &str| {
        let known = |name: &str| lines.iter().any(|line| names_of(line).any(|known| known == name));
        let missing: Vec<&str> = names.split(' ').filter(|name| !name.is_empty() && !known(name)).collect();
        if !missing.is_empty() {
            lines.push(format!("{address}\t{}", missing.join(" ")));
        }
    };
    add("127.0.0.1", "localhost");
    add("::1", "localhost6 ip6-localhost");
    if let Some(gateway) = gateway {
        add(gateway, HOST_NAMES);
    }
    // The container's own name leads to itself. With the host's network that is the host's business but for ours.
    add("127.0.0.1", &format!("{hostname} {}", etc.config.name));
    Ok(Some((lines.join("\n") + "\n").into_bytes()))
}

fn names_of(line: &str) -> impl Iterator<Item = &str> {
    line.split('#').next().unwrap_or_default().split_whitespace().skip(1)
}

fn no_gateway(name: &str) -> crate::base::error::Error {
    fail(Kind::Failed, format!("--add-host {name}:{HOST_GATEWAY}: this network has no address of the host"))
        .hint("use --network host or slirp4netns, or give the address")
}

fn gateway(mode: &NetworkMode) -> Option<&'static str> {
    match mode {
        NetworkMode::Host => Some("127.0.0.1"),
        NetworkMode::Slirp4netns(_) => Some(SLIRP_HOST),
        _ => None,
    }
}

/// What the file begins with: the host's, the image's, another file, or nothing.
fn base(etc: &Etc<'_>) -> Result<String> {
    let bytes = match etc.config.network.hosts_file.as_str() {
        "none" => return Ok(String::new()),
        "image" => {
            etc.root.read_small(Path::new("/etc/hosts"), LIMIT).context("read the image's /etc/hosts")?
        }
        "" => fs::read_optional(Path::new("/etc/hosts"))?,
        path => Some(fs::read_limited(Path::new(path), LIMIT)?),
    };
    Ok(String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned())
}

/// The content of /etc/resolv.conf; `None` leaves the image's.
pub(super) fn resolv(etc: &Etc<'_>) -> Result<Option<Vec<u8>>> {
    let network = &etc.config.network;
    if network.dns.first().is_some_and(|server| server == "none") {
        return Ok(None);
    }
    if let NetworkMode::Container(id) = &network.mode {
        return fs::read_optional(&(etc.dir_of)(id).join("resolv.conf"));
    }
    let shared = network.mode == NetworkMode::Host;
    let host = Resolver::parse(&host_file(shared)?);
    let mut servers = host.servers;
    if !shared {
        // A server on the host's loopback cannot be reached from another network namespace.
        servers.retain(|server| !is_loopback(server));
        match &network.mode {
            NetworkMode::Slirp4netns(_) => servers.insert(0, SLIRP_DNS.into()),
            NetworkMode::Pasta(_) if servers.is_empty() => servers.push(PASTA_DNS.into()),
            _ => {}
        }
    }
    let or = |flags: &[String], host: Vec<String>| if flags.is_empty() { host } else { flags.to_vec() };
    let resolver = Resolver {
        servers: or(&network.dns, servers),
        search: or(&network.dns_search, host.search).into_iter().filter(|domain| domain != ".").collect(),
        options: or(&network.dns_options, host.options),
    };
    Ok(Some(resolver.text().into_bytes()))
}

fn is_loopback(server: &str) -> bool {
    server.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn host_file(shared: bool) -> Result<String> {
    let read = |path: &str| fs::read_optional(Path::new(path));
    let text = read("/etc/resolv.conf")?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text).into_owned();
    let stub = !shared && Resolver::parse(&text).servers == ["127.0.0.53"];
    match (stub, if stub { read(RESOLVED)? } else { None }) {
        (true, Some(real)) => Ok(String::from_utf8_lossy(&real).into_owned()),
        _ => Ok(text),
    }
}

#[derive(Debug, Default, PartialEq)]
struct Resolver {
    servers: Vec<String>,
    search: Vec<String>,
    options: Vec<String>,
}

impl Resolver {
    fn parse(text: &str) -> Resolver {
        let mut found = Resolver::default();
        for line in text.lines() {
            let mut words = line.split_whitespace().map(str::to_owned);
            match words.next().as_deref() {
                Some("nameserver") => found.servers.extend(words.next()),
                Some("search" | "domain") => found.search = words.collect(), // the last one counts
                Some("options") => found.options.extend(words),
                _ => {}
            }
        }
        found
    }

    fn text(&self) -> String {
        let line = |word: &str, list: &[String]| {
            if list.is_empty() { String::new() } else { format!("{word} {}\n", list.join(" ")) }
        };
        let servers: String = self.servers.iter().map(|server| format!("nameserver {server}\n")).collect();
        line("search", &self.search) + &servers + &line("options", &self.options)
    }
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn resolver_files_are_read_and_written() {
        let text =
            "# c\ndomain a\nsearch x y\nnameserver 1.1.1.1\nnameserver ::1\noptions ndots:1\noptions edns0\n";
        let resolver = Resolver::parse(text);
        assert_eq!(resolver.search, ["x", "y"]);
        assert_eq!(
            resolver.text(),
            "search x y\nnameserver 1.1.1.1\nnameserver ::1\noptions ndots:1 edns0\n"
        );
        assert!(is_loopback("127.0.0.53") && is_loopback("::1") && !is_loopback("1.1.1.1"));
    }
}
