//! Signals by name or number: `TERM`, `sigterm`, `15`, `SIGRTMIN+3`, `RTMAX-1`.

use super::error::{Explain, Result, usage};
use super::words::nearest;

/// The first real-time signal that programs may use (musl and glibc keep 32 and 33 or 34 for themselves).
const RTMIN: i32 = 34;
/// The last signal.
const RTMAX: i32 = 64;

/// Names by number from 1, as on all architectures that dhow is built for.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// Parses a signal.
pub fn parse(text: &str) -> Result<i32> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let number = text.parse::<i32>().ok().filter(|number| (1..=RTMAX).contains(number));
        return number
            .ok_or_else(|| usage(format!("`{text}` is not a signal: numbers go from 1 to {RTMAX}")));
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let alias = match name {
        "IOT" => "ABRT",
        "CLD" => "CHLD",
        "POLL" => "IO",
        other => other,
    };
    if let Some(at) = NAMES.iter().position(|known| *known == alias) {
        return Ok(at as i32 + 1);
    }
    if let Some(number) = real_time(name) {
        return Ok(number);
    }
    let error = usage(format!("unknown signal `{text}`"));
    Err(match nearest(name, NAMES) {
        Some(meant) => error.hint(format!("did you mean `{meant}`?")),
        None => error,
    })
}

fn real_time(name: &str) -> Option<i32> {
    let number = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(""), _) => RTMIN,
        (_, Some("")) => RTMAX,
        (Some(rest), _) => RTMIN + rest.strip_prefix('+')?.parse::<u8>().ok().map(i32::from)?,
        (_, Some(rest)) => RTMAX - rest.strip_prefix('-')?.parse::<u8>().ok().map(i32::from)?,
        _ => return None,
    };
    (RTMIN..=RTMAX).contains(&number).then_some(number)
}

/// The name of a signal with its `SIG`, as `inspect` shows it.
pub fn name(number: i32) -> String {
    match number {
        1..=31 => format!("SIG{}", NAMES[number as usize - 1]),
        RTMIN => "SIGRTMIN".into(),
        RTMAX => "SIGRTMAX".into(),
        35..RTMAX => format!("SIGRTMIN+{}", number - RTMIN),
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_read_and_named() {
        let table = [
            ("TERM", 15),
            ("sigterm", 15),
            ("15", 15),
            ("SIGHUP", 1),
            ("RTMIN+3", 37),
            ("SIGRTMAX-1", 63),
            ("rtmin", 34),
            ("POLL", 29),
            ("64", 64),
        ];
        for (text, number) in table {
            assert_eq!(parse(text).unwrap(), number, "{text}");
        }
        for number in (1..=31).chain(34..=64) {
            assert_eq!(parse(&name(number)).unwrap(), number);
        }
        for bad in [
            "",
            "0",
            "65",
            "-9",
            "SIG",
            "FOO",
            "RTMIN+31",
            "RTMAX-99",
            "RTMIN-1",
            "999999999999",
            "SIGSIGTERM",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
