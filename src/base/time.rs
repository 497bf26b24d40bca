//! Times as RFC 3339 with nanoseconds, and durations as Go writes them.

use std::time::Duration;

use jiff::Timestamp;

use super::error::{Context, Result, bail};

/// The present.
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// RFC 3339 in UTC, nine digits of fraction: `2026-01-02T03:04:05.000000006Z`.
pub fn rfc3339(when: Timestamp) -> String {
    format!("{when:.9}")
}

/// Parses a Go duration (`1h30m`, `1.5s`, `300ms`) or a plain number of seconds.
pub fn parse_duration(text: &str) -> Result<Duration> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(Duration::from_secs(seconds));
    }
    let (mut rest, mut total) = (text, 0f64);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let units =
            rest[digits..].find(|c: char| c.is_ascii_digit() || c == '.').map_or(rest.len(), |n| n + digits);
        let number: f64 = rest[..digits].parse().ok().with_context(|| bad_duration(text))?;
        total += number
            * match &rest[digits..units] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" => 1e-6,
                "ns" => 1e-9,
                _ => bail!(bad_duration(text)),
            };
        rest = &rest[units..];
    }
    if text.is_empty() {
        bail!(bad_duration(text));
    }
    Duration::try_from_secs_f64(total).ok().with_context(|| bad_duration(text))
}

fn bad_duration(text: &str) -> String {
    format!("`{text}` is not a duration such as `90s`, `1h30m` or `300ms`")
}

/// Parses a point in time as `--since` and `until=` take it: RFC 3339, a date, a Unix time with an optional
/// fraction, or a duration before now.
pub fn parse_when(text: &str, now: Timestamp) -> Result<Timestamp> {
    if let Ok(when) = text.parse::<Timestamp>() {
        return Ok(when);
    }
    if let Ok(zoneless) = text.parse::<jiff::civil::DateTime>() {
        let local = zoneless
            .to_zoned(jiff::tz::TimeZone::system())
            .with_context(|| format!("place `{text}` in time"))?;
        return Ok(local.timestamp());
    }
    if let Ok(seconds) = text.parse::<f64>() {
        return Timestamp::from_nanosecond((seconds * 1e9) as i128)
            .with_context(|| format!("read time `{text}`"));
    }
    match parse_duration(text) {
        Ok(ago) => now.checked_sub(ago).with_context(|| format!("go back `{text}`")),
        Err(_) => bail!("`{text}` is neither a time (RFC 3339, Unix) nor a duration"),
    }
}

/// How long ago, as Docker words it: `Less than a second`, `5 seconds`, `About an hour`, `3 weeks`, `2 years`.
pub fn human(age: Duration) -> String {
    let seconds = age.as_secs();
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    let days = hours / 24;
    match seconds {
        0 => "Less than a second".into(),
        1 => "1 second".into(),
        2..60 => format!("{seconds} seconds"),
        60..120 => "About a minute".into(),
        _ if minutes < 60 => format!("{minutes} minutes"),
        _ if hours < 2 => "About an hour".into(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if days < 14 => format!("{days} days"),
        _ if days < 60 => format!("{} weeks", days / 7),
        _ if days < 730 => format!("{} months", days / 30),
        _ => format!("{} years", days / 365),
    }
}

/// Time since `when`; zero if that is in the future.
pub fn since(when: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(when)).unwrap_or_default()
}

/// The processor time that this thread has used: what a test may set limits to on a machine that does other work too.
#[cfg(test)]
pub fn thread_time() -> Duration {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(used).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        let table =
            [("90", 90_000), ("1h30m", 5_400_000), ("300ms", 300), ("1.5s", 1_500), ("2m0s", 120_000)];
        for (text, millis) in table {
            assert_eq!(parse_duration(text).unwrap(), Duration::from_millis(millis), "{text}");
        }
        for bad in ["", "x", "5x", "h", "-3s", "1h 2m"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_and_ages_are_worded_as_docker_words_them() {
        let now: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
        assert_eq!(parse_when("1h", now).unwrap().to_string(), "2026-01-01T23:00:00Z");
        assert_eq!(parse_when("1767225600", now).unwrap().to_string(), "2026-01-01T00:00:00Z");
        assert_eq!(rfc3339(now), "2026-01-02T00:00:00.000000000Z");
        let ages =
            [(0, "Less than a second"), (59, "59 seconds"), (61, "About a minute"), (7_000, "About an hour")];
        for (seconds, words) in ages {
            assert_eq!(human(Duration::from_secs(seconds)), words);
        }
    }
}
