//! From text to a [`Dockerfile`].

use super::ast::{Dockerfile, Step};
use crate::base::error::{Result, bail};

/// Parses a file; `name` is what messages call it.
pub fn parse(name: &str, text: &str) -> Result<Dockerfile> {
    let _ = text;
    bail!("`{name}` is not there yet")
}

/// Parses an `ONBUILD` trigger out of an image's configuration; `name` is the image, for messages. `FROM`, `ONBUILD`
/// and `MAINTAINER` are refused.
pub fn parse_trigger(name: &str, text: &str) -> Result<Step> {
    let _ = text;
    bail!("`{name}` is not there yet")
}
