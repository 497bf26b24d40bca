//! Memory, processor and weight limits.

use super::usage;
use crate::base::error::{Explain, Result};
use crate::base::units::parse_bytes;

/// The period over which `--cpus` is counted, microseconds.
pub const CPU_PERIOD: u64 = 100_000;

/// The least memory that a limit may leave, as Docker and the kernel's own needs have it.
const LEAST_MEMORY: i64 = 6 << 20;

/// Parses a size into bytes that fit an `i64`; `-1` is unlimited where the flag allows it.
pub fn bytes(flag: &str, text: &str, unlimited: bool) -> Result<i64> {
    if unlimited && text == "-1" {
        return Ok(-1);
    }
    let wrong = || usage(format!("{flag} takes a size such as 512m, not `{text}`"));
    i64::try_from(parse_bytes(text).map_err(|_| wrong())?).map_err(|_| wrong())
}

/// Parses `--memory`: 0 is no limit, and less than a process needs to start is refused.
pub fn memory(text: &str) -> Result<Option<i64>> {
    match bytes("--memory", text, false)? {
        0 => Ok(None),
        small if small < LEAST_MEMORY => {
            Err(usage(format!("--memory `{text}` is too small")).hint("the least is 6m"))
        }
        limit => Ok(Some(limit)),
    }
}

/// Parses `--cpus` into a quota of [`CPU_PERIOD`]; 0 is no limit.
pub fn cpus(text: &str) -> Result<Option<i64>> {
    let number = text.parse::<f64>().ok().filter(|n| n.is_finite() && (0.0..=1_000_000.0).contains(n));
    let number = number.ok_or_else(|| usage(format!("--cpus takes a number of processors, not `{text}`")))?;
    let quota = (number * CPU_PERIOD as f64).round() as i64;
    match quota {
        0 if number == 0.0 => Ok(None),
        0..1000 => Err(usage(format!("--cpus `{text}` is too small")).hint("the least is 0.01")),
        _ => Ok(Some(quota)),
    }
}

/// Checks a list of processors or memory nodes: `0-3,5`.
pub fn cpuset(flag: &str, text: &str) -> Result<String> {
    let number = |text: &str| text.parse::<u16>().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
    let part_fits = |part: &str| match part.split_once('-') {
        Some((first, last)) => number(first).zip(number(last)).is_some_and(|(first, last)| first <= last),
        None => number(part).is_some(),
    };
    if text.is_empty() || text.split(',').all(part_fits) {
        return Ok(text.to_owned());
    }
    Err(usage(format!("{flag} takes a list such as 0-3,5, not `{text}`")))
}

/// Parses a block I/O weight, 10 to 1000 (0: none).
pub fn blkio_weight(text: &str) -> Result<u16> {
    match text.parse::<u16>() {
        Ok(weight) if weight == 0 || (10..=1000).contains(&weight) => Ok(weight),
        _ => Err(usage(format!("`{text}` is not a block I/O weight")).hint("weights go from 10 to 1000")),
    }
}

/// Parses an octal `--umask`.
pub fn umask(text: &str) -> Result<u32> {
    let octal = !text.is_empty() && text.len() <= 4 && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
    match u32::from_str_radix(text, 8) {
        Ok(mask) if octal && mask <= 0o777 => Ok(mask),
        _ => Err(usage(format!("--umask takes octal digits such as 0022, not `{text}`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read() {
        assert_eq!(memory("512m").unwrap(), Some(512 << 20));
        assert_eq!(memory("0").unwrap(), None);
        assert_eq!(bytes("--memory-swap", "-1", true).unwrap(), -1);
        assert_eq!(cpus("1.5").unwrap(), Some(150_000));
        assert_eq!(cpus("0").unwrap(), None);
        assert_eq!(cpuset("--cpuset-cpus", "0-3,5").unwrap(), "0-3,5");
        assert_eq!((blkio_weight("10").unwrap(), umask("0022").unwrap()), (10, 0o22));
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in ["", "x", "-1", "1k", "99999999999g", "9223372036854775808"] {
            assert!(memory(bad).is_err(), "{bad}");
        }
        for bad in ["", "x", "-1", "nan", "inf", "0.000001", "1e99"] {
            assert!(cpus(bad).is_err(), "{bad}");
        }
        for bad in ["a", "3-1", "0,", "-1", "0-3-5", "99999999", "0\n"] {
            assert!(cpuset("x", bad).is_err(), "{bad}");
        }
        for bad in ["", "9", "1001", "-1", "x"] {
            assert!(blkio_weight(bad).is_err(), "{bad}");
        }
        for bad in ["", "8", "01777", "1777", "-1", "0o22"] {
            assert!(umask(bad).is_err(), "{bad}");
        }
    }
}
