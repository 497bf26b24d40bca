//! `volume ls`.

use clap::Args;

use super::row::VolumeRow;
use crate::base::error::Result;
use crate::cli::{refuse, session::Session};
use crate::ops::volumes::list;
use crate::ui::{json, report};

/// List volumes
#[derive(Debug, Args)]
pub struct VolumeLsArgs {
    /// Only those that fit: name=, label=, dangling=, driver=, opt=, until=, …
    #[arg(short, long, value_name = "FILTER")]
    filter: Vec<String>,
    /// `json`, or a Go template such as `{{.Name}}`
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// No line of headings
    #[arg(short, long)]
    noheading: bool,
    /// Only the names
    #[arg(short, long)]
    quiet: bool,
    #[arg(long, hide = true)]
    cluster: bool,
}

impl VolumeLsArgs {
    /// Lists them.
    pub fn run(self, session: &Session) -> Result<()> {
        if self.cluster {
            return Err(refuse::flag_error("--cluster", "dhow volume ls"));
        }
        let (listed, damaged) = list(session.ops()?, &self.filter)?;
        damaged.iter().for_each(|name| session.warn(&format!("volume `{name}` is damaged")));
        let rows: Vec<VolumeRow> = listed.iter().map(VolumeRow::new).collect();
        match self.format.as_deref() {
            Some("json") => json::print(&session.out, &rows),
            None if self.quiet => listed.iter().try_for_each(|one| session.out.line(&one.volume.name)),
            format => report::listing(&session.out, format, "{{.Driver}}\t{{.Name}}", !self.noheading, &rows),
        }
    }
}
