//! Sizes as users type them (units of 1024) and as listings show them (units of 1000, as Docker prints).

use super::error::{Context, Result, bail};

/// Parses `512`, `64m`, `1.5g`, `10MiB`, `2kb`: units of 1024, letters in any case.
pub fn parse_bytes(text: &str) -> Result<u64> {
    let trimmed = text.trim();
    let split = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(split);
    let shift = match unit.trim().to_ascii_lowercase().trim_end_matches('b').trim_end_matches('i') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        _ => bail!("`{text}` is not a size such as `512m` or `2g`"),
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(1 << shift).with_context(|| format!("size `{text}` is too large"));
    }
    match number.parse::<f64>() {
        Ok(value) if value >= 0.0 => Ok((value * (1u64 << shift) as f64) as u64),
        _ => bail!("`{text}` is not a size such as `512m` or `2g`"),
    }
}

/// Four significant digits and a decimal unit without a blank, as Docker prints sizes: `117MB`, `13.3kB`, `0B`.
pub fn human(bytes: u64) -> String {
    scaled(bytes, 1000.0, &["B", "kB", "MB", "GB", "TB", "PB", "EB"], 4)
}

/// Binary units, as memory limits are shown: `512MiB`.
pub fn human_binary(bytes: u64) -> String {
    scaled(bytes, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"], 4)
}

/// Three significant digits, as `docker images` prints them: `117MB`, `1.15GB`.
pub fn human_short(bytes: u64) -> String {
    scaled(bytes, 1000.0, &["B", "kB", "MB", "GB", "TB", "PB", "EB"], 3)
}

fn scaled(bytes: u64, base: f64, units: &[&str], digits: usize) -> String {
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= base && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    format!("{}{}", general(value, digits), units[unit])
}

/// C's `%.{digits}g` for values below 10^digits.
fn general(value: f64, digits: usize) -> String {
    let whole = (value.max(1.0).log10().floor() as usize) + 1;
    let fixed = format!("{:.*}", digits.saturating_sub(whole), value);
    if fixed.contains('.') { fixed.trim_end_matches('0').trim_end_matches('.').to_owned() } else { fixed }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_binary_units() {
        let table = [
            ("0", 0),
            ("512", 512),
            ("64m", 64 << 20),
            ("1.5G", 3 << 29),
            ("2kb", 2048),
            ("10MiB", 10 << 20),
        ];
        for (text, bytes) in table {
            assert_eq!(parse_bytes(text).unwrap(), bytes, "{text}");
        }
        for bad in ["", "m", "-1", "5x", "99999999999g"] {
            assert!(parse_bytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_are_shown_as_docker_shows_them() {
        assert_eq!(human(0), "0B");
        assert_eq!(human(13_256), "13.26kB");
        assert_eq!(human_short(117_000_000), "117MB");
        assert_eq!(human_short(1_150_000_000), "1.15GB");
        assert_eq!(human_binary(512 << 20), "512MiB");
    }
}
