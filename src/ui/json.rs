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
    Ok(escaped(String::from_utf8(bytes).context("encode JSON")?))
}

/// JSON leaves DEL and the C1 controls as they are; to a terminal U+009B is as good as ESC and `[`. They can only
/// stand inside of strings, where an escape means the same.
fn escaped(text: String) -> String {
    let control = |c: char| matches!(c, '\u{7f}'..='\u{9f}');
    if !text.contains(control) {
        return text;
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if control(c) { safe.push_str(&format!("\\u{:04x}", u32::from(c))) } else { safe.push(c) }
    }
    safe
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_control_character_is_left_in_a_document() {
        let text = super::pretty("a\u{1b}[1m\u{7f}\u{9b}31m\u{e4}").unwrap();
        assert_eq!(text, "\"a\\u001b[1m\\u007f\\u009b31m\u{e4}\"");
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), "a\u{1b}[1m\u{7f}\u{9b}31m\u{e4}");
    }
}
