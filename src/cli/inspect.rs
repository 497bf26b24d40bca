//! `inspect`: of whatever has that name; a container wins over an image of the same name.

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::session::Session;
use super::{container, image, names, volume};
use crate::base::error::{Collected, Kind, Result, fail, is_not_found};
use crate::ui::report;

/// Show everything about containers, images or volumes
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// `json`, or a Go template such as `{{.Id}}`
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// The container made last
    #[arg(short, long)]
    latest: bool,
    /// What containers take on disk too
    #[arg(short, long)]
    size: bool,
    /// Look only among these: container, image, volume or all
    #[arg(short = 't', long = "type", value_name = "TYPE", default_value = "all", hide_default_value = true)]
    kind: What,
    /// Names or ids
    #[arg(value_name = "NAME", add = names::containers())]
    names: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    All,
    Container,
    Image,
    Volume,
}

impl InspectArgs {
    /// Shows them.
    pub fn run(self, session: &Session) -> Result<()> {
        let mut names = self.names.clone();
        if self.latest {
            names.push(container::select::newest(session.ops()?)?);
        }
        if names.is_empty() {
            return Err(fail(Kind::Usage, "nothing was named to inspect"));
        }
        let mut failed = Collected::default();
        let found: Vec<Value> =
            names.iter().filter_map(|name| failed.note(self.find(session, name))).collect();
        report::documents(&session.out, self.format.as_deref(), &found)?;
        session.out.flush()?;
        failed.finish()
    }

    /// The first kind that knows the name; an error other than "no such thing" ends the search.
    fn find(&self, session: &Session, name: &str) -> Result<Value> {
        let kinds = [What::Container, What::Image, What::Volume];
        let mut missing = None;
        for kind in kinds.into_iter().filter(|kind| self.kind == What::All || self.kind == *kind) {
            let found = match kind {
                What::Container | What::All => container::inspect::one(session, name, self.size),
                What::Image => image::inspect::one(session, name),
                What::Volume => volume::inspect::one(session, name),
            };
            match found {
                Err(error) if is_not_found(&error) => missing = Some(error),
                other => return other,
            }
        }
        match missing {
            Some(error) if self.kind != What::All => Err(error),
            _ => Err(fail(Kind::NotFound, format!("no container, image or volume is called `{name}`"))),
        }
    }
}
