//! `volume inspect`.

use clap::Args;
use serde_json::Value;

use super::row::VolumeRow;
use crate::base::error::{Collected, Context, Kind, Result, fail};
use crate::cli::names;
use crate::cli::session::Session;
use crate::ops::volumes::inspect;
use crate::ui::report;

/// Show everything about volumes
#[derive(Debug, Args)]
pub struct VolumeInspectArgs {
    /// All volumes
    #[arg(short, long)]
    all: bool,
    /// `json`, or a Go template such as `{{.Mountpoint}}`
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Names
    #[arg(value_name = "VOLUME", add = names::volumes())]
    names: Vec<String>,
}

impl VolumeInspectArgs {
    /// Shows them.
    pub fn run(self, session: &Session) -> Result<()> {
        if self.names.is_empty() != self.all {
            return Err(fail(Kind::Usage, "give names of volumes, or `--all`"));
        }
        let mut failed = Collected::default();
        let found: Vec<Value> = if self.all {
            documents(session, &[], true)?
        } else {
            self.names.iter().filter_map(|name| failed.note(one(session, name))).collect()
        };
        report::documents(&session.out, self.format.as_deref(), &found)?;
        session.out.flush()?;
        failed.finish()
    }
}

fn documents(session: &Session, names: &[String], all: bool) -> Result<Vec<Value>> {
    let listed = inspect(session.ops()?, names, all)?;
    let encode = |one| serde_json::to_value(VolumeRow::new(one)).context("encode the description");
    listed.iter().map(encode).collect()
}

/// The description of one volume.
pub(in crate::cli) fn one(session: &Session, name: &str) -> Result<Value> {
    let mut found = documents(session, &[name.to_owned()], false)?;
    found.pop().ok_or_else(|| fail(Kind::NotFound, format!("no volume `{name}`")))
}
