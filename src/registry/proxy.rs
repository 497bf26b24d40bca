//! Proxies from the environment, by scheme, as Go's programs read it: `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`, in
//! either case, `ALL_PROXY` where the scheme's own is missing.
//!
//! https goes through a tunnel (CONNECT). A plain request is told to the proxy whole (RFC 9112, 3.2.2): many proxies
//! make tunnels to port 443 alone.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

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

    /// The proxy that a plain request is told to.
    pub(super) fn forwarder(&self, url: &Url) -> Option<Forwarder> {
        self.of(url).filter(|_| !url.https).and_then(Forwarder::parse)
    }
}

/// A proxy that plain requests are told to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Forwarder {
    /// It is itself spoken to in https.
    pub(super) https: bool,
    /// Its host and port.
    pub(super) authority: String,
    /// The value of `Proxy-Authorization`.
    pub(super) authorization: Option<String>,
}

impl Forwarder {
    /// Reads `http://user:password@host:port`; `None` for proxies of another kind (SOCKS).
    fn parse(text: &str) -> Option<Forwarder> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let https = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let rest = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (user, host) = rest.rsplit_once('@').map_or((None, rest), |(user, host)| (Some(user), host));
        let port = if super::reference::split_port(host).1.is_some() {
            ""
        } else if https {
            ":443"
        } else {
            ":80"
        };
        let authorization = user.map(|user| format!("Basic {}", STANDARD.encode(unescaped(user))));
        Some(Forwarder { https, authority: format!("{host}{port}"), authorization })
    }
}

/// Undoes percent-encoding.
fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match code.and_then(|two| u8::from_str_radix(two, 16).ok()).filter(|_| first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    bytes
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

    #[test]
    fn plain_requests_are_told_to_http_proxies_with_their_login() {
        let read = |text: &str| Forwarder::parse(text).map(|f| (f.https, f.authority, f.authorization));
        assert_eq!(read("p:3128"), Some((false, "p:3128".into(), None)));
        assert_eq!(read("http://p/"), Some((false, "p:80".into(), None)));
        let login = Some("Basic bWU6YTpA".into()); // me:a:@
        assert_eq!(read("https://me:a%3A%40@[::1]:1"), Some((true, "[::1]:1".into(), login)));
        assert_eq!(read("socks5://p:1080"), None);
        assert_eq!(unescaped("a%zz%4"), b"a%zz%4");
    }
}
