//! `unshare`.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use clap::Args;

use super::session::Session;
use crate::base::error::{Context, Explain, Kind, Result, fail};

/// Run a program where this user's containers live: in a user namespace in which it is root and owns the sub-ids
#[derive(Debug, Args)]
pub struct UnshareArgs {
    #[arg(long, hide = true)]
    rootless_netns: bool,
    /// Program and its arguments; by default the user's shell
    #[arg(value_name = "COMMAND [ARG]", trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

impl UnshareArgs {
    /// Becomes that program.
    pub fn run(self, session: &Session) -> Result<()> {
        if self.rootless_netns {
            return Err(super::refuse::flag_error("--rootless-netns", "dhow unshare"));
        }
        let roots = &session.roots;
        if !roots.rootless {
            return Err(fail(Kind::Usage, "`unshare` is for ordinary users: root needs no user namespace"));
        }
        let shell =
            || std::env::var_os("SHELL").filter(|shell| !shell.is_empty()).unwrap_or("/bin/sh".into());
        let mut words = self.command.into_iter();
        let program = words.next().unwrap_or_else(shell);
        session.ops()?.enter_stage()?;
        // Inside, the caller is root, and root's directories are not the caller's.
        let error = Command::new(&program)
            .args(words)
            .env("DHOW_ROOT", &roots.root)
            .env("DHOW_RUNROOT", &roots.run)
            .exec();
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => Kind::NoCommand,
            _ => Kind::NotExecutable,
        };
        Err(error).with_context(|| format!("run `{}`", program.to_string_lossy())).kind(kind)
    }
}
