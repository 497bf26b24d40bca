//! Modes as `--chmod` of `COPY` and `ADD` has them: octal (`755`, `0755`, `4755`) or symbolic as chmod(1) has it (`u=rwX,go=rX`,
//! `+x`, `g-w,o=`, `g=u`). Without classes a clause is about all of them: a build has no umask.

use crate::base::error::{Explain, Result, usage};

/// A change of mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chmod {
    /// These bits, whatever they were.
    Octal(u32),
    /// Clauses, one after the other.
    Symbolic(Vec<Clause>),
}

/// One operation of a symbolic mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// The classes it is about, as bits: 4 user, 2 group, 1 others.
    classes: u32,
    /// `+`, `-` or `=`.
    operator: char,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Bits {
        /// Read, write, execute as the bits of one class.
        rwx: u32,
        /// `X`: execute for directories and for what somebody may execute already.
        execute_if: bool,
        /// `s`
        set_id: bool,
        /// `t`
        sticky: bool,
    },
    /// The bits of another class: the shift that brings them down.
    Copy(u32),
}

impl Chmod {
    /// Parses a mode.
    pub fn parse(text: &str) -> Result<Chmod> {
        let wrong = || {
            usage(format!("`{text}` is not a mode"))
                .hint("a mode is octal such as 0755, or symbolic such as u=rwX,go=rX")
        };
        if text.starts_with(|first: char| first.is_ascii_digit()) {
            let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777);
            return mode.map(Chmod::Octal).ok_or_else(wrong);
        }
        let mut clauses = Vec::new();
        for part in text.split(',') {
            clauses.extend(operations(part).ok_or_else(wrong)?);
        }
        Ok(Chmod::Symbolic(clauses))
    }

    /// The permission bits (07777) of a file or directory that had those of `mode`; bits above them are ignored.
    pub fn apply(&self, mode: u32, is_dir: bool) -> u32 {
        match self {
            Chmod::Octal(bits) => *bits,
            Chmod::Symbolic(clauses) => {
                clauses.iter().fold(mode & 0o7777, |mode, clause| clause.apply(mode, is_dir))
            }
        }
    }
}

impl Clause {
    fn apply(&self, mode: u32, is_dir: bool) -> u32 {
        let (rwx, special) = match self.what {
            What::Copy(shift) => (mode >> shift & 7, 0),
            What::Bits { rwx, execute_if, set_id, sticky } => {
                let execute = execute_if && (is_dir || mode & 0o111 != 0);
                let special = if set_id { 6 & self.classes } else { 0 } << 9;
                // Only a clause about others, or about all, speaks of the sticky bit.
                let sticky = sticky && self.classes & 1 != 0;
                (rwx | u32::from(execute), special | u32::from(sticky) << 9)
            }
        };
        let bits = spread(self.classes, rwx) | special;
        match self.operator {
            '+' => mode | bits,
            '-' => mode & !bits,
            _ => {
                // A directory keeps its set-id bits unless they are named, as chmod(1) does.
                let cleared = if is_dir { 0 } else { (6 & self.classes) << 9 };
                let sticky = if self.classes == 7 { 0o1000 } else { 0 };
                mode & !(spread(self.classes, 7) | cleared | sticky) | bits
            }
        }
    }
}

/// The bits of one class in each of the classes.
fn spread(classes: u32, rwx: u32) -> u32 {
    [(4, 6), (2, 3), (1, 0)]
        .iter()
        .filter(|(class, _)| classes & class != 0)
        .map(|(_, shift)| rwx << shift)
        .sum()
}

/// `[ugoa]*([+-=][rwxXst]*|[+-=][ugo])+`
fn operations(part: &str) -> Option<Vec<Clause>> {
    let begin = part.find(['+', '-', '='])?;
    let (who, mut rest) = part.split_at(begin);
    let mut classes = if who.is_empty() { 7 } else { 0 };
    for letter in who.chars() {
        classes |= match letter {
            'u' => 4,
            'g' => 2,
            'o' => 1,
            'a' => 7,
            _ => return None,
        };
    }
    let mut clauses = Vec::new();
    while let Some(operator) = rest.chars().next() {
        let end = rest[1..].find(['+', '-', '=']).map_or(rest.len(), |at| at + 1);
        clauses.push(Clause { classes, operator, what: what(&rest[1..end])? });
        rest = &rest[end..];
    }
    Some(clauses)
}

fn what(letters: &str) -> Option<What> {
    match letters {
        "u" => return Some(What::Copy(6)),
        "g" => return Some(What::Copy(3)),
        "o" => return Some(What::Copy(0)),
        _ => {}
    }
    let (mut rwx, mut execute_if, mut set_id, mut sticky) = (0, false, false, false);
    for letter in letters.chars() {
        match letter {
            'r' => rwx |= 4,
            'w' => rwx |= 2,
            'x' => rwx |= 1,
            'X' => execute_if = true,
            's' => set_id = true,
            't' => sticky = true,
            _ => return None,
        }
    }
    Some(What::Bits { rwx, execute_if, set_id, sticky })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_applied_as_chmod_does() {
        let table = [
            ("755", 0o600, false, 0o755),
            ("0755", 0o600, true, 0o755),
            ("4755", 0o600, false, 0o4755),
            ("0", 0o600, false, 0),
            ("+x", 0o644, false, 0o755),
            ("u+x", 0o644, false, 0o744),
            ("a-w", 0o666, false, 0o444),
            ("go-rwx", 0o777, false, 0o700),
            ("u=rwX,go=rX", 0o600, false, 0o644),
            ("u=rwX,go=rX", 0o700, false, 0o755),
            ("u=rwX,go=rX", 0o600, true, 0o755),
            ("g=u", 0o640, false, 0o660),
            ("o=g-w", 0o664, false, 0o664),
            ("o=", 0o777, false, 0o770),
            ("u+s,g+s", 0o755, false, 0o6755),
            ("+t", 0o777, true, 0o1777),
            ("u+t", 0o777, true, 0o777),
            ("a=rx", 0o7777, false, 0o555),
            ("u=rwx", 0o4755, false, 0o755),
            ("u=rwx", 0o4755, true, 0o4755),
            ("u+rw-x+s", 0o100, false, 0o4600),
            ("a+X", 0o100_644, false, 0o644),
            ("a+X", 0o040_644, true, 0o755),
        ];
        for (text, before, is_dir, after) in table {
            let mode = Chmod::parse(text).unwrap().apply(before, is_dir);
            assert_eq!(mode, after, "{text} on {before:o}: {mode:o}");
        }
    }

    #[test]
    fn other_texts_are_no_modes() {
        for bad in ["", "8", "99999", "07777777", "u", "u=rwz", "z+x", "rwx", "u+x,", "0x1", "+ux"] {
            assert!(Chmod::parse(bad).is_err(), "{bad}");
        }
    }
}
