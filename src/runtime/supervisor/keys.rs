//! The key sequence by which a user leaves an attached container.

use crate::base::error::{Explain, Kind, Result, fail};

/// `ctrl-p,ctrl-q` and the like, matched over the bytes that a user types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetachKeys {
    keys: Vec<u8>,
    matched: usize,
}

/// What to make of typed bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum Typed {
    /// These go to the container.
    Forward(Vec<u8>),
    /// These go to the container, and then the user leaves.
    Detach(Vec<u8>),
}

impl DetachKeys {
    /// The sequence that applies when nobody says otherwise.
    pub const DEFAULT: &str = "ctrl-p,ctrl-q";

    /// Parses letters and `ctrl-X` (`X` a letter or one of `@ [ \ ] ^ _`) joined by commas; empty means none.
    pub fn parse(text: &str) -> Result<DetachKeys> {
        let keys = match text {
            "" => Vec::new(),
            _ => text.split(',').map(key).collect::<Option<Vec<u8>>>().ok_or_else(|| {
                fail(Kind::Usage, format!("`{text}` is not a sequence of keys")).hint(
                    "write single characters and `ctrl-` with a letter or one of `@[\\]^_`, joined by commas",
                )
            })?,
        };
        Ok(DetachKeys { keys, matched: 0 })
    }

    /// No sequence: nothing typed ever detaches.
    pub fn none() -> DetachKeys {
        DetachKeys { keys: Vec::new(), matched: 0 }
    }

    /// Takes what was typed: holds a beginning of the sequence back, replays it when it goes on differently.
    pub fn feed(&mut self, typed: &[u8]) -> Typed {
        let mut out = Vec::with_capacity(typed.len() + self.matched);
        for &byte in typed {
            self.step(byte, &mut out);
            if !self.keys.is_empty() && self.matched == self.keys.len() {
                self.matched = 0;
                return Typed::Detach(out);
            }
        }
        Typed::Forward(out)
    }

    /// One byte. On a mismatch the held-back keys are released from the front only as far as needed: a later one of
    /// them may begin the sequence anew (`a,a,b` typed `aaab`).
    fn step(&mut self, byte: u8, out: &mut Vec<u8>) {
        while self.keys.get(self.matched) != Some(&byte) {
            if self.matched == 0 {
                out.push(byte);
                return;
            }
            let held = self.matched;
            self.matched =
                (0..held).rev().find(|&n| self.keys[..n] == self.keys[held - n..held]).unwrap_or(0);
            out.extend_from_slice(&self.keys[..held - self.matched]);
        }
        self.matched += 1;
    }
}

fn key(text: &str) -> Option<u8> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() => Some(*byte),
        [b'c' | b'C', b't' | b'T', b'r' | b'R', b'l' | b'L', b'-', letter] => {
            match letter.to_ascii_uppercase() {
                upper @ b'@'..=b'_' => Some(upper - b'@'),
                _ => None,
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_parsed_as_docker_and_podman_do() {
        let table: [(&str, Option<&[u8]>); 11] = [
            ("ctrl-p,ctrl-q", Some(&[16, 17])),
            ("ctrl-@", Some(&[0])),
            ("ctrl-_", Some(&[31])),
            ("ctrl-[,a", Some(&[27, b'a'])),
            ("ctrl-\\", Some(&[28])),
            ("CTRL-A,z", Some(&[1, b'z'])),
            ("", Some(&[])),
            ("ctrl-1", None),
            ("ab", None),
            ("a,,b", None),
            ("ä", None),
        ];
        for (text, keys) in table {
            assert_eq!(DetachKeys::parse(text).ok().map(|k| k.keys).as_deref(), keys, "{text}");
        }
    }

    #[test]
    fn a_beginning_is_held_back_and_replayed() {
        let mut keys = DetachKeys::parse("ctrl-p,ctrl-q").unwrap();
        assert_eq!(keys.feed(b"ls\x10"), Typed::Forward(b"ls".to_vec()));
        assert_eq!(keys.feed(b"x"), Typed::Forward(b"\x10x".to_vec()));
        assert_eq!(keys.feed(b"\x10\x10"), Typed::Forward(b"\x10".to_vec()));
        assert_eq!(keys.feed(b"\x11rest"), Typed::Detach(vec![]));
        let mut keys = DetachKeys::parse("a,a,b").unwrap();
        assert_eq!(keys.feed(b"aaab"), Typed::Detach(b"a".to_vec()));
        let mut none = DetachKeys::none();
        assert_eq!(none.feed(b"\x10\x11"), Typed::Forward(b"\x10\x11".to_vec()));
    }
}
