//! Text from hostile places, made fit for a terminal.

use std::borrow::Cow;

/// Escapes control characters (images and registries may send terminal sequences); newlines and tabs too.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(unsafe_to_print) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().fold(String::with_capacity(text.len() + 8), |mut out, c| {
        if unsafe_to_print(c) {
            out.extend(c.escape_default())
        } else {
            out.push(c)
        }
        out
    }))
}

/// C0, DEL, C1 and the bidirectional overrides that can make a line read as another.
fn unsafe_to_print(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Renders bytes as lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)] as char);
        out.push(DIGITS[usize::from(byte & 15)] as char);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_sequences_are_escaped() {
        assert_eq!(printable("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\n");
        assert_eq!(printable("größe"), "größe");
        assert_eq!(printable("\u{202e}x"), "\\u{202e}x");
        assert_eq!(hex(&[0, 0xab]), "00ab");
    }
}
