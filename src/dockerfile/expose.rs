//! `EXPOSE PORT[-PORT][/PROTOCOL]`

use std::fmt;

use crate::base::error::{Explain, Result, usage};

/// An exposed port; displays as `80/tcp`, the key in the image's configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    /// 0 to 65535.
    pub number: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: &'static str,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.protocol)
    }
}

/// Parses one word into the ports it names.
pub fn parse(word: &str) -> Result<Vec<Port>> {
    let wrong = || usage(format!("`{word}` is not a port")).hint("a port is 80, 53/udp or 8000-8010/tcp");
    let (range, protocol) = word.split_once('/').unwrap_or((word, ""));
    let protocol = match protocol.to_ascii_lowercase().as_str() {
        "" | "tcp" => "tcp",
        "udp" => "udp",
        "sctp" => "sctp",
        _ => return Err(usage(format!("`{word}`: the protocol is tcp, udp or sctp, not `{protocol}`"))),
    };
    if range.contains(':') {
        return Err(wrong().hint("ports of the host are chosen when a container is run (`-p`)"));
    }
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last) = (number(first).ok_or_else(wrong)?, number(last).ok_or_else(wrong)?);
    if first > last {
        return Err(usage(format!("`{word}`: the range ends before it begins")));
    }
    Ok((first..=last).map(|number| Port { number, protocol }).collect())
}

fn number(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read() {
        let table: [(&str, &[&str]); 6] = [
            ("80", &["80/tcp"]),
            ("53/UDP", &["53/udp"]),
            ("8000-8002", &["8000/tcp", "8001/tcp", "8002/tcp"]),
            ("1-2/sctp", &["1/sctp", "2/sctp"]),
            ("80/", &["80/tcp"]),
            ("65535", &["65535/tcp"]),
        ];
        for (word, ports) in table {
            let found: Vec<String> = parse(word).unwrap().iter().map(Port::to_string).collect();
            assert_eq!(found, ports, "{word}");
        }
        for bad in
            ["", "65536", "-1", "+1", "x", "80/http", "3-1", "1-", "-", "8080:80", "80/tcp/udp", "1-2-3"]
        {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
