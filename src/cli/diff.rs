//! `diff`, `container diff` and `image diff`.

use clap::Args;
use serde::Serialize;

use super::container::select::one_name;
use super::names;
use super::session::Session;
use crate::base::error::{Kind, Result, fail};
use crate::base::text::printable;
use crate::layer::{Change, ChangeKind};
use crate::ops::container::changes::shown;
use crate::ops::diff::{Among, diff};
use crate::ui::json;

/// Show what was changed in a file system: A added, C changed, D deleted
#[derive(Debug, Args)]
pub struct DiffArgs {
    #[command(flatten)]
    output: Output,
    /// The container made last
    #[arg(short, long)]
    latest: bool,
    /// Container, image or layer, by name or id; a container wins over an image of the same name
    #[arg(value_name = "NAME", add = names::containers())]
    name: Option<String>,
    /// What to compare it with, in place of what it was made from
    #[arg(value_name = "BASE", add = names::images())]
    base: Option<String>,
}

/// Show what a container changed in its file system: A added, C changed, D deleted
#[derive(Debug, Args)]
pub struct ContainerDiffArgs {
    #[command(flatten)]
    output: Output,
    /// The container made last
    #[arg(short, long)]
    latest: bool,
    /// Container, by name or id
    #[arg(value_name = "CONTAINER", add = names::containers())]
    name: Option<String>,
    /// What to compare it with, in place of its image
    #[arg(value_name = "BASE", add = names::containers())]
    base: Option<String>,
}

/// Show what the last layer of an image changed in those below it: A added, C changed, D deleted
#[derive(Debug, Args)]
pub struct ImageDiffArgs {
    #[command(flatten)]
    output: Output,
    /// Image or layer, by name or id
    #[arg(value_name = "IMAGE", add = names::images())]
    name: String,
    /// What to compare it with, in place of its lower layers
    #[arg(value_name = "BASE", add = names::images())]
    base: Option<String>,
}

#[derive(Debug, Args)]
struct Output {
    /// Print as JSON
    #[arg(long, value_name = "FORMAT", value_parser = ["json"])]
    format: Option<String>,
}

/// Podman's form: what is empty is left out.
#[derive(Debug, Serialize)]
struct Document {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changed: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    added: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    deleted: Vec<String>,
}

impl DiffArgs {
    /// Prints a line a change.
    pub fn run(self, session: &Session) -> Result<()> {
        if self.latest && self.base.is_some() {
            return Err(fail(Kind::Usage, "two names and `--latest` cannot go together"));
        }
        // With --latest, the one name that may follow is what to compare with.
        let (name, base) = if self.latest { (None, self.name) } else { (self.name, self.base) };
        let name = one_name(session.ops()?, name, self.latest)?;
        self.output.print(session, &diff(session.ops()?, Among::All, &name, base.as_deref())?)
    }
}

impl ContainerDiffArgs {
    /// Prints a line a change.
    pub fn run(self, session: &Session) -> Result<()> {
        let name = one_name(session.ops()?, self.name, self.latest)?;
        self.output.print(session, &diff(session.ops()?, Among::Containers, &name, self.base.as_deref())?)
    }
}

impl ImageDiffArgs {
    /// Prints a line a change.
    pub fn run(self, session: &Session) -> Result<()> {
        let changes = diff(session.ops()?, Among::Images, &self.name, self.base.as_deref())?;
        self.output.print(session, &changes)
    }
}

impl Output {
    fn print(&self, session: &Session, changes: &[Change]) -> Result<()> {
        if self.format.is_some() {
            let of = |kind: ChangeKind| -> Vec<String> {
                changes.iter().filter(|change| change.kind == kind).map(|change| shown(change).1).collect()
            };
            return json::print(
                &session.out,
                &Document {
                    changed: of(ChangeKind::Changed),
                    added: of(ChangeKind::Added),
                    deleted: of(ChangeKind::Deleted),
                },
            );
        }
        changes.iter().try_for_each(|change| {
            let (letter, path) = shown(change);
            session.out.line(&format!("{letter} {}", printable(&path)))
        })
    }
}
