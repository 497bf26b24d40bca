//! What every floor stands on: errors, paths, config files, locks, atomic files, ids, time, text.
//!
//! Nothing in here knows the word container.

pub mod chmod;
pub mod config;
pub mod digest;
pub mod error;
pub mod failure;
pub mod fs;
pub mod id;
pub mod lock;
pub mod roots;
pub mod signal;
pub mod storage_conf;
pub mod text;
pub mod time;
pub mod units;
pub mod words;

pub use error::{Kind, Result};
