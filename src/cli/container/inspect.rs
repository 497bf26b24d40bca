//! `container inspect`.

use clap::Args;
use serde_json::Value;

use super::select::{Named, newest};
use crate::base::error::{Collected, Kind, Result, fail};
use crate::cli::session::Session;
use crate::ops::container::inspect::inspect;
use crate::ui::report;

/// Show everything about containers
#[derive(Debug, Args)]
pub struct ContainerInspectArgs {
    #[command(flatten)]
    named: Named,
    /// `json`, or a Go template such as `{{.State.Status}}`
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// What they take on disk too
    #[arg(short, long)]
    size: bool,
}

impl ContainerInspectArgs {
    /// Shows them.
    pub fn run(self, session: &Session) -> Result<()> {
        let mut names = self.named.names;
        if self.named.latest {
            names.push(newest(session.ops()?)?);
        }
        if names.is_empty() {
            return Err(fail(Kind::Usage, "no container was named"));
        }
        let mut failed = Collected::default();
        let found: Vec<Value> =
            names.iter().filter_map(|name| failed.note(one(session, name, self.size))).collect();
        report::documents(&session.out, self.format.as_deref(), &found)?;
        session.out.flush()?;
        failed.finish()
    }
}

/// The description of one container.
pub(in crate::cli) fn one(session: &Session, name: &str, size: bool) -> Result<Value> {
    let ops = session.ops()?;
    inspect(ops, &ops.containers()?.resolve(name)?, size)
}
