//! Proxies from the environment, by scheme, as Go's programs read it: `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`, in
//! either case, `ALL_PROXY` where the scheme's own is missing.

use std::net::IpAddr;

use super::endpoint::is_loopback;
use super::url::Url;

/// What the environment says.
#[derive(Debug, Clone, Default)]
pub(super) struct Proxies {
    https: Option<String>,
    http: Option<String>,
    except: Vec<String>,
}

impl Proxies {
    /// Reads the environment.
    pub(super) fn from_env() -> Proxies {
        Proxies::from_variables(|name| std::env::var(name).ok())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Proxies {
        let either = |name: &str| {
            [name.to_owned(), name.to_lowercase()]
                .iter()
                .find_map(|name| variable(name))
                .filter(|v| !v.is_empty())
        };
        let except = either("NO_PROXY").unwrap_or_default();
        Proxies {
            https: either("HTTPS_PROXY").or_else(|| either("ALL_PROXY")),
            http: either("HTTP_PROXY").or_else(|| either("ALL_PROXY")),
            except: except
                .split(',')
                .map(|entry| entry.trim().to_ascii_lowercase())
                .filter(|e| !e.is_empty())
                .collect(),
        }
    }

    /// The proxy for a URL; this machine itself is never reached through one.
    pub(super) fn of(&self, url: &Url) -> Option<&str> {
        let proxy = if url.https { &self.https } else { &self.http };
        let direct = is_loopback(&url.authority) || self.except.iter().any(|entry| excepts(entry, url));
        proxy.as_deref().filter(|_| !direct)
    }
}

/// `*`, an address, a CIDR block, a domain (with everything below it), `.domain` (only below it), each with `:port`.
fn excepts(entry: &str, url: &Url) -> bool {
    let host = url.host();
    if entry == "*" {
        return true;
    }
    if let Some((network, bits)) = entry.split_once('/') {
        return in_block(&host, network, bits);
    }
    if entry.trim_matches(['[', ']']) == host {
        return true;
    }
    let (name, port) = super::reference::split_port(entry);
    if port.is_some_and(|port| port.parse() != Ok(url.port())) {
        return false;
    }
    let name = name.trim_matches(['[', ']']).trim_start_matches('*');
    match name.strip_prefix('.') {
        Some(_) => host.ends_with(name),
        None => host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.')),
    }
}

fn in_block(host: &str, network: &str, bits: &str) -> bool {
    let (Ok(host), Ok(network), Ok(bits)) = (host.parse(), network.parse(), bits.parse::<u32>()) else {
        return false;
    };
    match (host, network) {
        (IpAddr::V4(host), IpAddr::V4(network)) if bits <= 32 => {
            let differing = u64::from(host.to_bits() ^ network.to_bits());
            differing >> (32 - bits) == 0
        }
        (IpAddr::V6(host), IpAddr::V6(network)) if bits <= 128 => {
            (host.to_bits() ^ network.to_bits()).checked_shr(128 - bits).unwrap_or(0) == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scheme_has_its_own_proxy_and_exceptions_hold() {
        let proxies = Proxies::from_variables(|name| match name {
            "HTTPS_PROXY" => Some("http://p:3128".into()),
            "no_proxy" => Some("a.io, .b.io,10.0.0.0/8,c.io:5000,fd00::/8,1.2.3.4".into()),
            _ => None,
        });
        let table = [
            ("https://x.io/", true),
            ("http://x.io/", false),
            ("https://a.io/", false),
            ("https://r.a.io/", false),
            ("https://aa.io/", true),
            ("https://b.io/", true),
            ("https://r.b.io/", false),
            ("https://10.2.3.4/", false),
            ("https://11.2.3.4/", true),
            ("https://c.io:5000/", false),
            ("https://c.io/", true),
            ("https://[fd00::1]/", false),
            ("https://1.2.3.4:77/", false),
            ("https://localhost:5000/", false),
            ("https://127.0.0.1/", false),
        ];
        for (url, proxied) in table {
            assert_eq!(proxies.of(&Url::parse(url).unwrap()).is_some(), proxied, "{url}");
        }
    }
}
