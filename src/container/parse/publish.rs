//! `--publish [[IP:][HOST]:]CONTAINER[/PROTOCOL]` with ranges, and `--expose`.

use std::net::IpAddr;

use super::usage;
use crate::base::error::{Explain, Result};
use crate::container::record::PortMapping;

/// Parses one `--publish`; several protocols (`80/tcp,udp`) give several mappings.
pub fn parse(text: &str) -> Result<Vec<PortMapping>> {
    let wrong = || {
        usage(format!("`{text}` is not a port mapping"))
            .hint("[[IP:][HOST_PORT]:]CONTAINER_PORT[/tcp|udp|sctp], an IPv6 address in brackets")
    };
    let (ports, protocols) = text.split_once('/').unwrap_or((text, "tcp"));
    let (ip, ports) = split_ip(ports).ok_or_else(wrong)?;
    let (host, container) = match ports.split_once(':') {
        Some((host, container)) => (host, container),
        None if ip.is_some() => return Err(wrong()),
        None => ("", ports),
    };
    let (first, last) = range(container).ok_or_else(wrong)?;
    let size = last - first + 1;
    let host_port = match host {
        "" => 0,
        _ => {
            let (begin, end) = range(host).ok_or_else(wrong)?;
            if end - begin + 1 != size {
                return Err(usage(format!("`{text}`: the two ranges of ports differ in length")));
            }
            begin
        }
    };
    protocols
        .split(',')
        .map(|protocol| {
            Ok(PortMapping {
                host_ip: ip.clone().unwrap_or_default(),
                host_port,
                container_port: first,
                range: size,
                protocol: protocol_of(protocol).ok_or_else(wrong)?,
            })
        })
        .collect()
}

/// Splits the address in front off: `[::1]:80:80`, `127.0.0.1:80:80`. The outer `None` is a syntax error.
fn split_ip(text: &str) -> Option<(Option<String>, &str)> {
    if let Some(rest) = text.strip_prefix('[') {
        let (ip, rest) = rest.split_once("]:")?;
        return ip.parse::<IpAddr>().ok().filter(IpAddr::is_ipv6).map(|ip| (Some(ip.to_string()), rest));
    }
    match text.matches(':').count() {
        0 | 1 => Some((None, text)),
        2 => {
            let (ip, rest) = text.split_once(':')?;
            let address = if ip.is_empty() { Some(None) } else { ip.parse::<IpAddr>().ok().map(Some) };
            address.map(|ip| (ip.map(|ip| ip.to_string()), rest))
        }
        _ => None,
    }
}

/// `80` or `8000-8010`; ports begin at 1.
fn range(text: &str) -> Option<(u16, u16)> {
    let port = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|port| digits && *port > 0)
    };
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (port(first)?, port(last)?),
        None => (port(text)?, port(text)?),
    };
    // 1-65535 has 65535 ports, which just fits.
    (first <= last).then_some((first, last))
}

fn protocol_of(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    matches!(lower.as_str(), "tcp" | "udp" | "sctp").then_some(lower)
}

/// Parses one `--expose` or an image's exposed port into `PORT/PROTOCOL` entries.
pub fn parse_expose(text: &str) -> Result<Vec<String>> {
    let wrong = || usage(format!("`{text}` is not a port such as 80, 53/udp or 8000-8010"));
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (first, last) = range(ports).ok_or_else(wrong)?;
    let protocol = protocol_of(protocol).ok_or_else(wrong)?;
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_are_read() {
        let table = [
            ("80", ("", 0, 80, 1, "tcp")),
            ("8080:80", ("", 8080, 80, 1, "tcp")),
            (":80", ("", 0, 80, 1, "tcp")),
            ("127.0.0.1:8080:80/udp", ("127.0.0.1", 8080, 80, 1, "udp")),
            ("127.0.0.1::80", ("127.0.0.1", 0, 80, 1, "tcp")),
            ("[::1]:8080:80", ("::1", 8080, 80, 1, "tcp")),
            ("8000-8010:9000-9010/SCTP", ("", 8000, 9000, 11, "sctp")),
            ("1-65535:1-65535", ("", 1, 1, 65535, "tcp")),
        ];
        for (text, want) in table {
            let all = parse(text).unwrap();
            let got = &all[0];
            assert_eq!(
                (got.host_ip.as_str(), got.host_port, got.container_port, got.range, got.protocol.as_str()),
                want,
                "{text}"
            );
        }
        assert_eq!(parse("53:53/tcp,udp").unwrap().len(), 2);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for bad in [
            "",
            ":",
            "0",
            "80:",
            "65536",
            "80:80:80",
            "a:80",
            "80/xyz",
            "80-70",
            "80-90:80",
            "::1:80:80",
            "[::1]80:80",
            "1.2.3:80:80",
            "+80",
            "80:80/",
            "[1.2.3.4]:80:80",
            "127.0.0.1:80",
            "-80",
            "80-",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_expose("80-82/udp").unwrap().len(), 3);
        assert!(parse_expose("x").is_err() && parse_expose("80/http").is_err());
    }
}
