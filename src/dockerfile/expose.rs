//! `EXPOSE PORT[-PORT][/PROTOCOL]`

use std::fmt;

use crate::base::error::{Result, bail};

/// An exposed port; displays as `80/tcp`, the key in the image's configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Port {
    /// 0 to 65535.
    pub number: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: &'static str,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.protocol)
    }
}

/// Parses one word into the ports it names.
pub fn parse(word: &str) -> Result<Vec<Port>> {
    bail!("`{word}` is not there yet")
}
