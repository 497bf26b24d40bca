//! Errors: [`anyhow`] chains that carry a [`Kind`] (which alone picks the exit code) and hints.
//!
//! Each link of a chain names an action and its object (``read config `x` ``), lower case, no full stop;
//! the chain prints as one line joined with `: `, and hints follow on lines of their own.

use std::fmt;

pub use anyhow::{Context, Error, Result, anyhow, bail, ensure};

/// What sort of failure an error is, as far as callers and exit codes can tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// dhow could not do it.
    #[default]
    Failed,
    /// What was typed makes no sense.
    Usage,
    /// The named object does not exist.
    NotFound,
    /// What was to be removed does not exist: an error, with an exit code of its own.
    Missing,
    /// The object is in use, or in a state that forbids the action (`rm` of a running container).
    InUse,
    /// The container's command exists but cannot be invoked.
    NotExecutable,
    /// The container's command does not exist.
    NoCommand,
    /// The answer is a plain "no" (`exists`): exit code 1 and nothing printed.
    No,
    /// A process ended with this status, which is the whole answer: nothing printed.
    Exited(u8),
    /// A command that was run on the way (`RUN` of a build) ended with this status, which becomes ours.
    Command(u8),
    /// The reader of our output went away: success.
    ClosedPipe,
}

impl Kind {
    /// The exit code of a command that failed with this kind.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Failed | Kind::Usage | Kind::NotFound => 125,
            Kind::InUse => 2,
            Kind::NotExecutable => 126,
            Kind::NoCommand => 127,
            Kind::No | Kind::Missing => 1,
            Kind::Exited(status) | Kind::Command(status) => status,
            Kind::ClosedPipe => 0,
        }
    }
}

/// Rides in a chain beside the messages: kind and hints of the error as a whole.
#[derive(Debug, Default)]
struct Note {
    /// The message below, for who shows only the outermost link, as clap does; [`render`] tells it once.
    message: String,
    kind: Option<Kind>,
    hints: Vec<String>,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

fn annotate(mut error: Error, change: impl FnOnce(&mut Note)) -> Error {
    if let Some(note) = error.downcast_mut::<Note>() {
        change(note);
        return error;
    }
    let mut note = Note { message: error.to_string(), ..Note::default() };
    change(&mut note);
    error.context(note)
}

/// Adds a kind or a hint to an error or to the error side of a result.
pub trait Explain {
    /// Sets the kind; a later call wins.
    fn kind(self, kind: Kind) -> Self;
    /// Adds a `hint:` line about what the reader can do.
    fn hint(self, hint: impl Into<String>) -> Self;
}

impl Explain for Error {
    fn kind(self, kind: Kind) -> Self {
        annotate(self, |note| note.kind = Some(kind))
    }
    fn hint(self, hint: impl Into<String>) -> Self {
        annotate(self, |note| note.hints.push(hint.into()))
    }
}

impl<T> Explain for Result<T> {
    fn kind(self, kind: Kind) -> Self {
        self.map_err(|error| error.kind(kind))
    }
    fn hint(self, hint: impl Into<String>) -> Self {
        self.map_err(|error| error.hint(hint))
    }
}

/// Returns the kind of an error; [`Kind::Failed`] where nobody said.
pub fn kind_of(error: &Error) -> Kind {
    error.downcast_ref::<Note>().and_then(|note| note.kind).unwrap_or_default()
}

/// Returns whether an error says that the object does not exist.
pub fn is_not_found(error: &Error) -> bool {
    kind_of(error) == Kind::NotFound
        || error.chain().any(|cause| {
            cause.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::NotFound)
        })
}

/// Returns the hints of an error, in the order in which they were given.
pub fn hints_of(error: &Error) -> &[String] {
    error.downcast_ref::<Note>().map_or(&[], |note| &note.hints)
}

/// Renders the chain as one line: outermost action first, cause last, control characters escaped.
pub fn render(error: &Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = cause.to_string();
        if !text.is_empty() && parts.last() != Some(&text) {
            parts.push(text);
        }
    }
    super::text::printable(&parts.join(": ")).into_owned()
}

/// An error of this kind with this message.
pub fn fail(kind: Kind, message: impl fmt::Display) -> Error {
    anyhow!("{message}").kind(kind)
}

/// An error about what was typed.
pub fn usage(message: impl fmt::Display) -> Error {
    fail(Kind::Usage, message)
}

/// Teardown goes on through errors and reports them as one list.
#[derive(Debug, Default)]
pub struct Collected(Vec<Error>);

impl Collected {
    /// Keeps the error of a step, if it failed, and goes on.
    pub fn note<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.0.push(error)).ok()
    }

    /// [`Collected::finish`] for commands that remove: the status is 1 when all that is wrong is that objects do not
    /// exist, 2 when one is in use, 125 when anything else failed (podman-rmi(1), podman-rm(1), podman-volume-rm(1)).
    pub fn finish_removal(self) -> Result<()> {
        let kinds: Vec<Kind> = self.0.iter().map(kind_of).collect();
        let other = |kind: &Kind| !matches!(kind, Kind::NotFound | Kind::Missing | Kind::InUse);
        let kind = match () {
            () if kinds.iter().any(other) => Kind::Failed,
            () if kinds.contains(&Kind::InUse) => Kind::InUse,
            () => Kind::Missing,
        };
        self.finish().kind(kind)
    }

    /// Fails with all that was kept, if anything was.
    pub fn finish(mut self) -> Result<()> {
        match self.0.len() {
            0 => Ok(()),
            1 => Err(self.0.remove(0)),
            _ => {
                // What is only missing is the lesser failure: another one decides.
                let first = self.0.iter().map(kind_of).find(|kind| *kind != Kind::Missing);
                let kind = first.unwrap_or(Kind::Missing);
                let lines: Vec<String> = self.0.iter().map(render).collect();
                Err(fail(kind, lines.join("; ")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_and_hints_survive_context() {
        let error = anyhow!("no such image").kind(Kind::NotFound).hint("pull it").context("run `x`");
        assert_eq!(kind_of(&error), Kind::NotFound);
        assert_eq!(hints_of(&error), ["pull it"]);
        assert_eq!(render(&error), "run `x`: no such image");
        assert_eq!(fail(Kind::Usage, "no such order").to_string(), "no such order");
        assert_eq!(hints_of(&error.hint("or build it")).len(), 2);
    }

    #[test]
    fn removal_tells_missing_from_used_from_failed() {
        for (kinds, status) in [
            (&[Kind::NotFound, Kind::NotFound][..], 1),
            (&[Kind::NotFound, Kind::InUse], 2),
            (&[Kind::InUse, Kind::Failed, Kind::NotFound], 125),
        ] {
            let mut all = Collected::default();
            for kind in kinds {
                all.note::<()>(Err(fail(*kind, "x")));
            }
            assert_eq!(kind_of(&all.finish_removal().unwrap_err()).exit_code(), status, "{kinds:?}");
        }
        assert!(Collected::default().finish_removal().is_ok());
    }

    #[test]
    fn collected_errors_keep_the_first_kind() {
        let mut all = Collected::default();
        all.note::<()>(Err(fail(Kind::InUse, "a")));
        all.note::<()>(Err(fail(Kind::Failed, "b")));
        let error = all.finish().unwrap_err();
        assert_eq!((render(&error).as_str(), kind_of(&error)), ("a; b", Kind::InUse));
        let mut all = Collected::default();
        all.note::<()>(Err(fail(Kind::Missing, "a")));
        all.note::<()>(Err(fail(Kind::InUse, "b")));
        assert_eq!(kind_of(&all.finish().unwrap_err()), Kind::InUse);
    }
}
