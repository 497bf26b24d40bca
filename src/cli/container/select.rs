//! Which containers, and what is printed for each: the common end of many commands.

use std::path::PathBuf;

use clap::Args;

use crate::base::error::{Collected, Explain, Kind, Result, fail};
use crate::cli::names;
use crate::cli::reclaimed;
use crate::cli::session::Session;
use crate::ops::container::select::{Done, Selection};
use crate::ops::context::Context;

/// Names, or the newest, or all.
#[derive(Debug, Args)]
pub struct Named {
    /// Names or ids
    #[arg(value_name = "CONTAINER", add = names::containers())]
    pub names: Vec<String>,
    /// The container made last
    #[arg(short, long)]
    pub latest: bool,
}

impl Named {
    /// The selection without filters.
    pub fn select(self) -> Selection {
        Selection { names: self.names, latest: self.latest, ..Selection::default() }
    }
}

/// Names, the newest, all, or by filters and files of ids (`-f` is the filter).
#[derive(Debug, Args)]
pub struct Filtered {
    #[command(flatten)]
    named: Named,
    /// All that the command can apply to
    #[arg(short, long)]
    all: bool,
    /// Only those that fit: KEY=VALUE
    #[arg(short, long, value_name = "FILTER")]
    filter: Vec<String>,
    /// File that holds the id
    #[arg(long, value_name = "PATH")]
    cidfile: Vec<PathBuf>,
}

impl Filtered {
    /// The selection.
    pub fn select(self) -> Selection {
        let Filtered { named, all, filter, cidfile } = self;
        Selection { all, filters: filter, cid_files: cidfile, ..named.select() }
    }
}

/// Prints a line for everything that went well, and fails with what did not.
pub fn print_done<T>(session: &Session, done: Vec<Done<T>>, line: impl Fn(&str, &T) -> String) -> Result<()> {
    print_lines(session, done, line)?.finish()
}

fn print_lines<T>(
    session: &Session,
    done: Vec<Done<T>>,
    line: impl Fn(&str, &T) -> String,
) -> Result<Collected> {
    let mut failed = Collected::default();
    for Done { name, result } in done {
        if let Some(value) = failed.note(result) {
            session.out.line(&line(&name, &value))?;
        }
    }
    session.out.flush()?;
    Ok(failed)
}

/// [`print_names`] for commands that remove, which have exit codes of their own and say how much space came back.
pub fn print_removed(session: &Session, done: Vec<Done<u64>>) -> Result<()> {
    let freed = done.iter().filter_map(|one| one.result.as_ref().ok()).sum();
    let failed = print_lines(session, done, |name, _| name.to_owned())?;
    reclaimed::tell(freed);
    failed.finish_removal()
}

/// Prints the word that chose each container.
pub fn print_names(session: &Session, done: Vec<Done<()>>) -> Result<()> {
    print_done(session, done, |name, ()| name.to_owned())
}

/// The one container that a command is about: by name, or the newest.
pub fn one_name(ops: &Context, name: Option<String>, latest: bool) -> Result<String> {
    match (name, latest) {
        (Some(name), false) => Ok(name),
        (Some(name), true) => Err(fail(Kind::Usage, format!("`{name}` and `--latest` cannot go together"))),
        (None, true) => newest(ops),
        (None, false) => {
            Err(fail(Kind::Usage, "no container was named").hint("give a name or an id, or `--latest`"))
        }
    }
}

/// The id of the container made last.
pub fn newest(ops: &Context) -> Result<String> {
    let last = ops.containers()?.list()?.pop();
    last.map(|container| container.config.id).ok_or_else(|| fail(Kind::NotFound, "there is no container"))
}
