//! Times as listings show them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::base::time;

/// `5 minutes ago`; `N/A`, as Docker has it, for a date that nobody gave.
pub fn ago(when: Timestamp) -> String {
    if when == Timestamp::UNIX_EPOCH {
        return "N/A".into();
    }
    format!("{} ago", time::human(time::since(when, time::now())))
}

/// Go's way of printing a time, in local time: `2026-01-02 03:04:05 +0000 UTC`.
pub fn created_at(when: Timestamp) -> String {
    when.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %z %Z").to_string()
}
