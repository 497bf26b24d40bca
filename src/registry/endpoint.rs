//! Where a reference is really fetched: mirrors in order, then its own location.

use super::config::{Mirror, Registries, Rule, Serves};
use super::reference::{DOCKER_IO, Reference, split_port};
use crate::base::error::{Context, Explain, Kind, Result, fail};

/// A place that may serve a reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The reference as that place knows it.
    pub reference: Reference,
    /// `insecure = true`: certificates are not verified, and plain http may be spoken.
    pub insecure: bool,
    /// Whether this is a mirror of what was asked for.
    pub mirror: bool,
}

impl Endpoint {
    /// A place that no configuration speaks of.
    pub fn plain(reference: &Reference) -> Endpoint {
        Endpoint { reference: reference.clone(), insecure: false, mirror: false }
    }

    /// Host and port to connect to.
    pub fn host(&self) -> &str {
        api_host(&self.reference.registry)
    }
}

/// The host that speaks the protocol for a registry's name.
pub fn api_host(registry: &str) -> &str {
    if registry == DOCKER_IO { "registry-1.docker.io" } else { registry }
}

/// Whether a host (with or without port) is this machine itself: 127.0.0.0/8, `::1`, `localhost`.
pub fn is_loopback(authority: &str) -> bool {
    let host = split_port(authority).0.trim_start_matches('[').trim_end_matches(']');
    let named = host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost");
    named || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl Registries {
    /// The places to pull a reference from, in order. A blocked name is an error.
    pub fn endpoints(&self, reference: &Reference) -> Result<Vec<Endpoint>> {
        let full = reference.full();
        let Some((rule, matched)) = self.rule_for(&full) else { return Ok(vec![Endpoint::plain(reference)]) };
        if rule.blocked {
            return Err(fail(
                Kind::Failed,
                format!("registry `{}` is blocked in registries.conf", rule.prefix),
            ));
        }
        let mut found = Vec::new();
        for mirror in rule.mirrors.iter().filter(|mirror| mirror.may_serve(reference)) {
            let reference = moved(&full, matched, &mirror.location)?;
            found.push(Endpoint { reference, insecure: mirror.insecure, mirror: true });
        }
        found.push(rule.own(reference, &full, matched)?);
        Ok(found)
    }

    /// The place to push a reference to: its own location, never a mirror.
    pub fn home(&self, reference: &Reference) -> Result<Endpoint> {
        self.endpoints(reference)?.pop().context("find the registry")
    }

    /// Whether a registry may be spoken to without a valid certificate.
    pub fn is_insecure(&self, registry: &str) -> bool {
        self.rule_for(registry).is_some_and(|(rule, _)| rule.insecure)
    }

    fn rule_for<'a>(&'a self, full: &str) -> Option<(&'a Rule, usize)> {
        self.rules.iter().find_map(|rule| Some((rule, matching(&rule.prefix, full)?)))
    }
}

impl Rule {
    fn own(&self, reference: &Reference, full: &str, matched: usize) -> Result<Endpoint> {
        let reference =
            if self.location.is_empty() { reference.clone() } else { moved(full, matched, &self.location)? };
        Ok(Endpoint { reference, insecure: self.insecure, mirror: false })
    }
}

impl Mirror {
    fn may_serve(&self, reference: &Reference) -> bool {
        match self.serves {
            Serves::All => true,
            Serves::Digests => reference.digest.is_some(),
            Serves::Tags => reference.digest.is_none(),
        }
    }
}

/// How many bytes of the name a prefix covers, if it matches at a boundary.
fn matching(prefix: &str, full: &str) -> Option<usize> {
    let covered = match prefix.strip_prefix('*') {
        None => full.starts_with(prefix).then_some(prefix.len())?,
        Some(domain) => {
            // `*.example.com` matches hosts below it, so what it covers lies before the first slash.
            let host_end = full.find('/').unwrap_or(full.len());
            let (suffix_host, path) = domain.split_once('/').map_or((domain, ""), |(h, p)| (h, p));
            let host = split_port(&full[..host_end]).0;
            let below = host.strip_suffix(suffix_host).or(full[..host_end].strip_suffix(suffix_host))?;
            let host_length = below.len() + suffix_host.len();
            match path {
                "" => host_length,
                _ => full[host_length..]
                    .strip_prefix('/')?
                    .starts_with(path)
                    .then_some(host_length + 1 + path.len())?,
            }
        }
    };
    let boundary = full[covered..].chars().next().is_none_or(|c| matches!(c, '/' | ':' | '@'));
    boundary.then_some(covered)
}

fn moved(full: &str, matched: usize, location: &str) -> Result<Reference> {
    let text = format!("{location}{}", &full[matched..]);
    let moved = Reference::parse(&text).with_context(|| format!("place `{full}` at `{location}`"))?;
    if super::reference::is_short_name(&text) {
        let hint =
            "a location in registries.conf begins with a host: `host.domain`, `host:port` or `localhost`";
        return Err(fail(Kind::Failed, format!("location `{location}` names no registry")).hint(hint));
    }
    Ok(moved)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn places(conf: &str, name: &str) -> Vec<(String, bool)> {
        let mut registries = Registries::default();
        registries.add(conf).unwrap();
        let reference = Reference::parse(name).unwrap();
        let found = registries.endpoints(&reference).unwrap();
        found.into_iter().map(|endpoint| (endpoint.reference.full(), endpoint.insecure)).collect()
    }

    #[test]
    fn prefixes_match_at_boundaries_and_the_longest_wins() {
        let conf = "[[registry]]\nprefix = 'a.io/x'\nlocation = 'b.io:5000/y'\ninsecure = true\n\
                    [[registry]]\nprefix = 'a.io/x/z'\nlocation = 'c.io'\n";
        assert_eq!(places(conf, "a.io/x/w:1"), [("b.io:5000/y/w:1".into(), true)]);
        assert_eq!(places(conf, "a.io/x/z/w:1"), [("c.io/w:1".into(), false)]);
        assert_eq!(places(conf, "a.io/xx/w"), [("a.io/xx/w".into(), false)]);
    }

    #[test]
    fn wildcards_match_subdomains_only() {
        let conf = "[[registry]]\nprefix = '*.corp.io'\ninsecure = true\n\
                    [[registry]]\nprefix = '*.e.io/p'\nlocation = 'f.io/q'\n";
        assert_eq!(places(conf, "r.corp.io/x"), [("r.corp.io/x".into(), true)]);
        assert_eq!(places(conf, "r.corp.io:5000/x"), [("r.corp.io:5000/x".into(), true)]);
        assert_eq!(places(conf, "corp.io/x"), [("corp.io/x".into(), false)]);
        assert_eq!(places(conf, "evilcorp.io/x"), [("evilcorp.io/x".into(), false)]);
        assert_eq!(places(conf, "h.io/r.corp.io/x"), [("h.io/r.corp.io/x".into(), false)]);
        assert_eq!(places(conf, "a.e.io/p/x:1"), [("f.io/q/x:1".into(), false)]);
    }

    #[test]
    fn mirrors_come_first_and_only_for_what_they_serve() {
        let conf = "[[registry]]\nprefix = 'docker.io'\nlocation = 'docker.io'\n\
                    [[registry.mirror]]\nlocation = 'm1:5000'\ninsecure = true\n\
                    [[registry.mirror]]\nlocation = 'm2.io/hub'\npull-from-mirror = 'digest-only'\n\
                    [[registry.mirror]]\nlocation = 'm3.io'\npull-from-mirror = 'tag-only'\n";
        let by_tag = places(conf, "alpine:3");
        let expected = ["m1:5000/library/alpine:3", "m3.io/library/alpine:3", "docker.io/library/alpine:3"];
        assert_eq!(by_tag.iter().map(|place| place.0.as_str()).collect::<Vec<_>>(), expected);
        assert!(by_tag[0].1 && !by_tag[2].1);
        let by_digest = places(conf, &format!("alpine@sha256:{HEX}"));
        assert_eq!(by_digest[1].0, format!("m2.io/hub/library/alpine@sha256:{HEX}"));
        assert_eq!(by_digest.len(), 3);
    }

    #[test]
    fn blocked_registries_and_bare_locations_are_refused() {
        let mut registries = Registries::default();
        registries.add("[[registry]]\nlocation = 'bad.io'\nblocked = true\n").unwrap();
        registries.add("[[registry]]\nprefix = 'q.io'\nlocation = 'plainhost/x'\n").unwrap();
        for name in ["bad.io/x", "q.io/x"] {
            assert!(registries.endpoints(&Reference::parse(name).unwrap()).is_err());
        }
    }

    #[test]
    fn loopback_is_recognised() {
        for (host, loopback) in [
            ("localhost:5000", true),
            ("127.0.0.1:5000", true),
            ("127.9.9.9", true),
            ("[::1]:5000", true),
            ("a.localhost", true),
            ("128.0.0.1:1", false),
            ("localhost.evil.io", false),
            ("127.0.0.1.evil.io", false),
        ] {
            assert_eq!(is_loopback(host), loopback, "{host}");
        }
    }
}
