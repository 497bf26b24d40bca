//! `diff`.

use clap::Args;
use serde_json::json;

use super::select::one_name;
use crate::base::error::Result;
use crate::base::text::printable;
use crate::cli::names;
use crate::cli::session::Session;
use crate::layer::ChangeKind;
use crate::ops::container::changes::{diff, shown};
use crate::ui::json;

/// Show what a container changed in its file system: A added, C changed, D deleted
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// Print as JSON
    #[arg(long, value_name = "FORMAT", value_parser = ["json"])]
    format: Option<String>,
    /// The container made last
    #[arg(short, long)]
    latest: bool,
    /// Container, by name or id
    #[arg(value_name = "CONTAINER", add = names::containers())]
    container: Option<String>,
}

impl DiffArgs {
    /// Prints a line a change.
    pub fn run(self, session: &Session) -> Result<()> {
        let ops = session.ops()?;
        let container = ops.containers()?.resolve(&one_name(ops, self.container, self.latest)?)?;
        let changes = diff(ops, &container)?;
        if self.format.is_some() {
            let of = |kind: ChangeKind| -> Vec<String> {
                changes.iter().filter(|change| change.kind == kind).map(|change| shown(change).1).collect()
            };
            let all = json!({
                "changed": of(ChangeKind::Changed), "added": of(ChangeKind::Added), "deleted": of(ChangeKind::Deleted),
            });
            return session.out.line(&json::pretty(&all)?);
        }
        changes.iter().try_for_each(|change| {
            let (letter, path) = shown(change);
            session.out.line(&format!("{letter} {}", printable(&path)))
        })
    }
}
