//! What a build says while it works. Stages that are built at once speak in whole lines, each with its stage in front.

use std::cell::RefCell;
use std::collections::VecDeque;

use crate::base::text::printable;

/// How many of a command's last lines an error shows.
const LAST: usize = 10;
/// The longest line that is kept for that, in bytes.
const LONG: usize = 1024;

/// Somebody who is told how a build goes: on stderr, in a file, or nowhere.
pub trait Reporter {
    /// Whole lines, or what a command of the only stage wrote.
    fn write(&self, bytes: &[u8]);
}

/// The voice of one stage.
pub(super) struct Voice<'a> {
    to: &'a dyn Reporter,
    prefix: String,
    heard: RefCell<Heard>,
}

#[derive(Default)]
struct Heard {
    line: Vec<u8>,
    last: VecDeque<String>,
}

impl<'a> Voice<'a> {
    /// The voice of the `number`th of `count` stages.
    pub(super) fn new(to: &'a dyn Reporter, number: usize, count: usize) -> Voice<'a> {
        let prefix = if count > 1 { format!("[stage {number}/{count}] ") } else { String::new() };
        Voice { to, prefix, heard: RefCell::default() }
    }

    /// A line of our own.
    pub(super) fn say(&self, text: &str) {
        self.to.write(format!("{}{}\n", self.prefix, printable(text)).as_bytes());
    }

    /// Something odd.
    pub(super) fn warn(&self, text: &str) {
        self.say(&format!("Warning: {text}"));
    }

    /// What a command wrote: as it comes where there is one stage, in whole lines where there are several.
    pub(super) fn relay(&self, bytes: &[u8]) {
        if self.prefix.is_empty() {
            self.to.write(bytes);
        }
        let mut heard = self.heard.borrow_mut();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            heard.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.line(&mut heard);
            }
        }
    }

    /// Ends what a command wrote; gives its last lines.
    pub(super) fn hush(&self) -> Vec<String> {
        let mut heard = self.heard.borrow_mut();
        if !heard.line.is_empty() {
            heard.line.push(b'\n');
            if self.prefix.is_empty() {
                self.to.write(b"\n");
            }
            self.line(&mut heard);
        }
        std::mem::take(&mut *heard).last.into()
    }

    fn line(&self, heard: &mut Heard) {
        let line = std::mem::take(&mut heard.line);
        if !self.prefix.is_empty() {
            self.to.write(&[self.prefix.as_bytes(), &line].concat());
        }
        let end = line.len().saturating_sub(1).min(LONG);
        heard.last.push_back(String::from_utf8_lossy(&line[..end]).trim_end_matches('\r').to_owned());
        if heard.last.len() > LAST {
            heard.last.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Paper(RefCell<Vec<u8>>);

    impl Reporter for Paper {
        fn write(&self, bytes: &[u8]) {
            self.0.borrow_mut().extend_from_slice(bytes);
        }
    }

    #[test]
    fn several_stages_speak_in_whole_lines() {
        let paper = Paper::default();
        let voice = Voice::new(&paper, 2, 3);
        voice.relay(b"a");
        voice.relay(b"b\nc");
        assert_eq!(voice.hush(), ["ab", "c"]);
        assert_eq!(String::from_utf8(paper.0.take()).unwrap(), "[stage 2/3] ab\n[stage 2/3] c\n");
    }

    #[test]
    fn one_stage_is_heard_as_it_comes() {
        let paper = Paper::default();
        let voice = Voice::new(&paper, 1, 1);
        voice.relay(b"50%\r");
        assert_eq!(paper.0.borrow().as_slice(), b"50%\r");
        voice.hush();
        voice.say("\u{1b}[2J");
        assert!(!paper.0.borrow().contains(&0x1b));
    }
}
