//! An error on its way between processes: kind, words and hints survive.

use serde::{Deserialize, Serialize};

use super::error::{Error, Explain, Kind, fail, hints_of, kind_of, render};

/// An error without its types.
#[derive(Debug, Serialize, Deserialize)]
pub struct Failure {
    kind: (u8, u8),
    message: String,
    hints: Vec<String>,
}

impl Failure {
    /// Takes the words of an error.
    pub fn new(error: &Error) -> Failure {
        Failure { kind: number(kind_of(error)), message: render(error), hints: hints_of(error).to_vec() }
    }

    /// Makes an error of the same words.
    pub fn into_error(self) -> Error {
        self.hints.into_iter().fold(fail(kind(self.kind), self.message), Error::hint)
    }
}

/// A kind as two numbers: both ends are the same program, so the numbers need to be stable for a run only.
fn number(kind: Kind) -> (u8, u8) {
    match kind {
        Kind::Failed => (0, 0),
        Kind::Usage => (1, 0),
        Kind::NotFound => (2, 0),
        Kind::InUse => (3, 0),
        Kind::NotExecutable => (4, 0),
        Kind::NoCommand => (5, 0),
        Kind::No => (6, 0),
        Kind::Exited(status) => (7, status),
        Kind::ClosedPipe => (8, 0),
        Kind::Missing => (9, 0),
        Kind::Command(status) => (10, status),
    }
}

fn kind(number: (u8, u8)) -> Kind {
    match number {
        (1, _) => Kind::Usage,
        (2, _) => Kind::NotFound,
        (3, _) => Kind::InUse,
        (4, _) => Kind::NotExecutable,
        (5, _) => Kind::NoCommand,
        (6, _) => Kind::No,
        (7, status) => Kind::Exited(status),
        (8, _) => Kind::ClosedPipe,
        (9, _) => Kind::Missing,
        (10, status) => Kind::Command(status),
        _ => Kind::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_words_and_hints_cross_over() {
        for kind in [Kind::Failed, Kind::NoCommand, Kind::NotExecutable, Kind::Exited(3)] {
            let error = fail(kind, "no `x`").hint("look").context("run `c`");
            let error = Failure::new(&error).into_error();
            assert_eq!((kind_of(&error), render(&error).as_str()), (kind, "run `c`: no `x`"));
            assert_eq!(hints_of(&error), ["look"]);
        }
    }
}
