//! `--add-host`, `--hostname`, `--dns`, `--dns-search`, `--dns-option`.

use std::net::IpAddr;

use super::usage;
use crate::base::error::{Explain, Result};

/// The word that stands for the host's own address.
pub const HOST_GATEWAY: &str = "host-gateway";

/// Parses `NAME[;NAME…]:IP` (Docker also: `NAME=IP`) into `name:ip` entries, one a name.
pub fn parse_add_host(text: &str) -> Result<Vec<String>> {
    let wrong = || {
        usage(format!("`{text}` is not of the form NAME:IP")).hint("as IP, `host-gateway` is the host itself")
    };
    let split = text.find(['=', ':']).ok_or_else(wrong)?;
    let (names, address) = (&text[..split], &text[split + 1..]);
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
    if bare != HOST_GATEWAY && bare.parse::<IpAddr>().is_err() {
        return Err(wrong());
    }
    let names: Vec<&str> = names.split(';').collect();
    for name in &names {
        check_host_name(name)?;
    }
    Ok(names.iter().map(|name| format!("{name}:{bare}")).collect())
}

/// Checks the name of a host: what may stand in /etc/hosts without adding lines or fields to it.
pub fn check_host_name(name: &str) -> Result<()> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if !name.is_empty() && name.len() <= 253 && name.chars().all(legal) {
        return Ok(());
    }
    Err(usage(format!("`{name}` is not the name of a host")))
}

/// Checks `--hostname`: what sethostname(2) takes, 64 bytes.
pub fn parse_hostname(text: &str) -> Result<String> {
    check_host_name(text)?;
    if text.len() > 64 || text.starts_with(['-', '.']) {
        return Err(usage(format!("the hostname `{text}` is longer than 64 bytes or begins wrongly")));
    }
    Ok(text.to_owned())
}

/// Checks the `--dns` flags: addresses, or `none` alone.
pub fn parse_dns(texts: &[String]) -> Result<Vec<String>> {
    for text in texts {
        let is_none = text == "none" && texts.len() == 1;
        if !is_none && text.parse::<IpAddr>().is_err() {
            return Err(usage(format!("--dns takes IP addresses, or `none` alone, not `{text}`")));
        }
    }
    Ok(texts.to_vec())
}

/// Checks `--dns-search`: domains, or `.` alone for none.
pub fn parse_dns_search(texts: &[String]) -> Result<Vec<String>> {
    if texts.len() > 1 && texts.iter().any(|text| text == ".") {
        return Err(usage("--dns-search . cannot be combined with domains"));
    }
    texts
        .iter()
        .filter(|text| *text != ".")
        .try_for_each(|text| check_host_name(text.trim_end_matches('.')))?;
    Ok(texts.to_vec())
}

/// Checks `--dns-option`: words of resolv.conf(5).
pub fn parse_dns_options(texts: &[String]) -> Result<Vec<String>> {
    for text in texts {
        if text.is_empty() || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(usage(format!("`{text}` is not an option of resolv.conf")));
        }
    }
    Ok(texts.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_a_name_and_an_address() {
        let table: [(&str, &[&str]); 5] = [
            ("a:1.2.3.4", &["a:1.2.3.4"]),
            ("a;b:10.0.0.1", &["a:10.0.0.1", "b:10.0.0.1"]),
            ("a:::1", &["a:::1"]),
            ("a:[fe80::1]", &["a:fe80::1"]),
            ("h=host-gateway", &["h:host-gateway"]),
        ];
        for (text, want) in table {
            assert_eq!(parse_add_host(text).unwrap(), want, "{text}");
        }
        for bad in ["", "a", "a:", ":1.2.3.4", "a:1.2.3", "a b:1.2.3.4", "a\n:1.2.3.4", "a;:1.2.3.4", "a:x"] {
            assert!(parse_add_host(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_and_servers_are_checked() {
        assert!(parse_hostname("web-1.example").is_ok());
        for bad in ["", "-a", "a b", "a\nb", "é", &"a".repeat(65)] {
            assert!(parse_hostname(bad).is_err(), "{bad:?}");
        }
        assert!(parse_dns(&["none".into()]).is_ok() && parse_dns(&["1.1.1.1".into(), "::1".into()]).is_ok());
        assert!(parse_dns(&["none".into(), "1.1.1.1".into()]).is_err() && parse_dns(&["x".into()]).is_err());
        assert!(
            parse_dns_search(&[".".into()]).is_ok() && parse_dns_search(&[".".into(), "a".into()]).is_err()
        );
        assert!(
            parse_dns_options(&["ndots:1".into()]).is_ok()
                && parse_dns_options(&["a\nnameserver x".into()]).is_err()
        );
    }
}
