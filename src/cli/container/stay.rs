//! Staying with a container: which streams, and what its end means for ours.

use crate::base::error::{Kind, Result, fail};
use crate::cli::session::Session;
use crate::ops::container::run::Outcome;
use crate::runtime::supervisor::Attach;

/// The streams of `--attach`; all if none is named, input only with `--interactive`.
pub(super) fn attached(names: &[String], interactive: bool) -> Result<Attach> {
    if names.is_empty() {
        return Ok(Attach { stdin: interactive, stdout: true, stderr: true });
    }
    let mut attach = Attach { stdin: false, stdout: false, stderr: false };
    for name in names {
        match name.to_ascii_lowercase().as_str() {
            "stdin" => attach.stdin = true,
            "stdout" => attach.stdout = true,
            "stderr" => attach.stderr = true,
            _ => return Err(fail(Kind::Usage, format!("`{name}` is not a stream: stdin, stdout or stderr"))),
        }
    }
    Ok(attach)
}

/// The container's exit code is ours; a container left in the background is success.
pub(super) fn settle(session: &Session, outcome: Outcome) -> Result<()> {
    let Outcome::Exited(info) = outcome else { return Ok(()) };
    info.trouble.iter().for_each(|trouble| session.warn(trouble));
    exit_with(info.code)
}

/// Ends with a process's exit code.
pub(super) fn exit_with(code: i32) -> Result<()> {
    match u8::try_from(code).unwrap_or(u8::MAX) {
        0 => Ok(()),
        code => Err(fail(Kind::Exited(code), format!("exit code {code}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_named_or_all() {
        let all = attached(&[], true).unwrap();
        assert!(all.stdin && all.stdout && all.stderr && !attached(&[], false).unwrap().stdin);
        let some = attached(&["STDOUT".into()], true).unwrap();
        assert!(some.stdout && !some.stdin && !some.stderr);
        assert!(attached(&["tty".into()], false).is_err());
    }
}
