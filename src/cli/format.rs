//! Times and sizes as listings show them, and as fields of their rows, which are worded only where a template names
//! them.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};

use crate::base::{time, units};

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

/// A field that reads as [`ago`].
#[derive(Debug, Clone, Copy)]
pub struct Ago(pub Timestamp);

/// A field that reads as [`created_at`].
#[derive(Debug, Clone, Copy)]
pub struct CreatedAt(pub Timestamp);

/// A field in RFC 3339.
#[derive(Debug, Clone, Copy)]
pub struct Rfc3339(pub Timestamp);

/// A field of bytes in three digits.
#[derive(Debug, Clone, Copy)]
pub struct Bytes(pub u64);

macro_rules! worded {
    ($($field:ident: $words:expr;)*) => {$(
        impl Serialize for $field {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&$words(self.0))
            }
        }
    )*};
}

worded! {
    Ago: ago;
    CreatedAt: created_at;
    Rfc3339: time::rfc3339;
    Bytes: units::human_short;
}
