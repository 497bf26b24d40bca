//! `--chmod` of `COPY` and `ADD`: octal (`755`, `0755`, `4755`) or symbolic (`u=rwX,go=rX`, `+x`, `g-w`).

use crate::base::error::{Result, bail};

/// A change of mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chmod {
    /// These bits, whatever they were.
    Octal(u32),
    /// Clauses, one after the other.
    Symbolic(Vec<Clause>),
}

/// One clause of a symbolic mode: `[ugoa]*[+-=][rwxXst]*`, or a copy (`g=u`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// The bits of the classes it is about, as a mask over 07777.
    mask: u32,
    /// `+`, `-` or `=`.
    operator: char,
    /// Read, write, execute as bits of one class, set-id and sticky bits as they are.
    bits: u32,
    /// `X`: execute for directories and what is executable already.
    conditional: bool,
    /// The class whose bits are copied: `u`, `g` or `o`.
    copy: Option<char>,
}

impl Chmod {
    /// Parses a mode.
    pub fn parse(text: &str) -> Result<Chmod> {
        bail!("`{text}` is not there yet")
    }

    /// The permission bits (07777) of a file or directory that had those of `mode`; bits above are ignored.
    pub fn apply(&self, mode: u32, is_dir: bool) -> u32 {
        let _ = is_dir;
        mode & 0o7777
    }
}
