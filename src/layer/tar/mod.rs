//! Reading tar archives: POSIX ustar and pax, GNU, V7, as strict as an archive from a stranger needs.
//!
//! An own reader, because every byte that is not file content must come out again exactly (`exact`), negative and
//! fractional times must survive, and sizes must never be read two ways (CVE-2025-62518).

mod header;
mod pax;
pub mod reader;

pub use reader::{Content, Entry, Feed, Kind, Reader};
