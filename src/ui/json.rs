//! JSON for people and programs: indented as Podman indents it.

use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};

use super::Printer;
use crate::base::error::{Context, Result};

/// Prints a value as indented JSON and a newline.
pub fn print<T: Serialize + ?Sized>(out: &Printer, value: &T) -> Result<()> {
    out.line(&pretty(value)?)
}

/// Renders a value as JSON, four blanks a level.
pub fn pretty<T: Serialize + ?Sized>(value: &T) -> Result<String> {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(b"    "));
    value.serialize(&mut serializer).context("encode JSON")?;
    String::from_utf8(bytes).context("encode JSON")
}
