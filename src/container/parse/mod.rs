//! Parsers of what users type about containers: `&str` in, checked values out, nothing read from the host.
//!
//! One file a topic. Podman's man pages are the reference for the syntax; where Docker's spelling means the
//! same, it is understood as well. Every error names the text that was typed.

pub mod caps;
pub mod device;
pub mod env;
pub mod hosts;
pub mod idmap;
pub mod keys;
pub mod log;
pub mod mount;
pub mod namespace;
pub mod network;
pub mod options;
pub mod path;
pub mod platform;
pub mod publish;
pub mod resources;
pub mod restart;
pub mod security;
pub mod sysctl;
pub mod ulimit;
pub mod user;
pub mod volume;

pub use crate::base::signal;
pub use crate::base::words::boolean;

pub(crate) use crate::base::error::usage;
pub(crate) use crate::base::words::nearest;
