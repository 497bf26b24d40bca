//! `exec`.

use std::path::PathBuf;

use clap::Args;

use super::select::newest;
use super::stay::settle;
use crate::base::error::{Context as _, Kind, Result, fail};
use crate::base::fs;
use crate::cli::descriptors::DescriptorArgs;
use crate::cli::names;
use crate::cli::session::Session;
use crate::container::parse::env::{self, Entry};
use crate::ops::container::exec::{ExecOptions, exec};
use crate::ops::context::Context;

/// Run another command in a running container
#[derive(Debug, Args)]
pub struct ExecArgs {
    /// Leave it in the background and print the session's id
    #[arg(short, long)]
    detach: bool,
    /// Keys that detach: a sequence such as ctrl-p,ctrl-q
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Environment: NAME=VALUE
    #[arg(short, long)]
    env: Vec<String>,
    /// File of environment variables
    #[arg(long, value_name = "PATH", value_delimiter = ',')]
    env_file: Vec<PathBuf>,
    /// Keep stdin open
    #[arg(short, long)]
    interactive: bool,
    /// The container made last
    #[arg(short, long)]
    latest: bool,
    /// File that holds the id
    #[arg(long, value_name = "PATH")]
    cidfile: Option<PathBuf>,
    #[command(flatten)]
    descriptors: DescriptorArgs,
    /// All capabilities
    #[arg(long)]
    privileged: bool,
    /// Give it a terminal
    #[arg(short, long)]
    tty: bool,
    /// User, and group: NAME|UID[:GROUP|GID]
    #[arg(short, long)]
    user: Option<String>,
    /// Working directory in the container
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    // No session is kept anyway when the command has ended.
    #[arg(long, hide = true)]
    no_session: bool,
    /// Name or id; then the command and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "CONTAINER COMMAND [ARG]...", add = names::containers())]
    words: Vec<String>,
}

impl ExecArgs {
    /// Runs it and ends as it ends, or leaves it in the background.
    pub fn run(self, session: &Session) -> Result<()> {
        let preserve_fd = self.descriptors.numbers()?;
        let ops = session.ops()?;
        let (container, command) = self.target(ops)?;
        let options = ExecOptions {
            container,
            command,
            env: environment(&self.env, &self.env_file)?,
            workdir: self.workdir,
            user: self.user,
            privileged: self.privileged,
            tty: self.tty,
            interactive: self.interactive,
            detach: self.detach,
            detach_keys: self.detach_keys,
            preserve_fd,
        };
        settle(session, exec(ops, &options)?)
    }

    /// The container and the command: the first word is a command when the container is chosen by a flag.
    fn target(&self, ops: &Context) -> Result<(String, Vec<String>)> {
        let by_flag = match (&self.cidfile, self.latest) {
            (Some(path), _) => Some(fs::read_to_string(path)?.trim().to_owned()),
            (None, true) => Some(newest(ops)?),
            (None, false) => None,
        };
        let (container, command) = match by_flag {
            Some(container) => (container, self.words.clone()),
            None => (self.words[0].clone(), self.words[1..].to_vec()),
        };
        match command.is_empty() {
            true => Err(fail(Kind::Usage, format!("no command was given to run in `{container}`"))),
            false => Ok((container, command)),
        }
    }
}

/// The variables of files and flags; those without a value are the caller's.
fn environment(flags: &[String], files: &[PathBuf]) -> Result<Vec<String>> {
    let mut entries = Vec::new();
    for path in files {
        let parsed = env::parse_file(&fs::read_to_string(path)?);
        entries.extend(parsed.with_context(|| format!("read `{}`", path.display()))?);
    }
    for flag in flags {
        entries.push(env::parse(flag)?);
    }
    Ok(entries.iter().flat_map(expand).collect())
}

fn expand(entry: &Entry) -> Vec<String> {
    let line = |(name, value): (String, String)| format!("{name}={value}");
    match entry {
        Entry::Set(name, value) => vec![format!("{name}={value}")],
        Entry::FromHost(name) => {
            std::env::var(name).ok().map(|value| line((name.clone(), value))).into_iter().collect()
        }
        Entry::Prefix(prefix) => {
            let held = std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
            held.filter(|(name, _)| name.starts_with(prefix)).map(line).collect()
        }
    }
}
