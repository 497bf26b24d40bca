//! `ps`, `container ls`.

use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};

use super::ps_row::{JsonRow, PsRow};
use crate::base::error::Result;
use crate::cli::session::Session;
use crate::ops::container::ps::{Listed, PsOptions, Sort, ps};
use crate::ui::{json, report};

/// List containers
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct PsArgs {
    /// Those that do not run too
    #[arg(short, long)]
    all: bool,
    /// Only those that fit: KEY=VALUE
    #[arg(short, long, value_name = "FILTER")]
    filter: Vec<String>,
    /// `json`, or a Go template such as `table {{.ID}}\t{{.Names}}`
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Only the ids
    #[arg(short, long)]
    quiet: bool,
    /// The N made last, in any state
    #[arg(short = 'n', long, value_name = "N", allow_negative_numbers = true)]
    last: Option<i64>,
    /// The one made last, in any state
    #[arg(short, long)]
    latest: bool,
    /// Whole ids and commands
    #[arg(long)]
    no_trunc: bool,
    /// No line of headings
    #[arg(long)]
    noheading: bool,
    /// Their namespaces
    #[arg(long, alias = "namespace")]
    ns: bool,
    /// Their pods
    #[arg(short, long)]
    pod: bool,
    /// What they take on disk
    #[arg(short, long)]
    size: bool,
    /// Order: command, created, id, image, names, runningfor, size or status
    #[arg(long, value_name = "KEY")]
    sort: Option<SortKey>,
    /// Look at the containers themselves; the list always does
    #[arg(long, hide = true)]
    sync: bool,
    /// Containers of other tools in the store too; nobody else has any in this one
    #[arg(long, alias = "storage")]
    external: bool,
    /// Show again every so many seconds
    #[arg(short, long, value_name = "SECONDS")]
    watch: Option<u64>,
    /// Print help
    #[arg(short, long, action = ArgAction::Help)]
    help: (),
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SortKey {
    Command,
    Created,
    Id,
    Image,
    #[value(alias = "name")]
    Names,
    #[value(name = "runningfor")]
    RunningFor,
    Size,
    Status,
}

impl From<SortKey> for Sort {
    fn from(key: SortKey) -> Sort {
        match key {
            SortKey::Command => Sort::Command,
            SortKey::Created => Sort::Created,
            SortKey::Id => Sort::Id,
            SortKey::Image => Sort::Image,
            SortKey::Names => Sort::Names,
            SortKey::RunningFor => Sort::RunningFor,
            SortKey::Size => Sort::Size,
            SortKey::Status => Sort::Status,
        }
    }
}

const COLUMNS: &str =
    "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.CreatedHuman}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}";
const NAMESPACES: &str = "{{.ID}}\t{{.Names}}\t{{.Pid}}\t{{.CGROUPNS}}\t{{.IPC}}\t{{.MNT}}\t{{.NET}}\t{{.PIDNS}}\t{{.USERNS}}\t{{.UTS}}";

impl PsArgs {
    /// Lists them, once or again and again.
    pub fn run(self, session: &Session) -> Result<()> {
        let Some(seconds) = self.watch else { return self.show(session) };
        loop {
            session.out.text("\x1b[2J\x1b[H")?; // clear, home
            self.show(session)?;
            session.out.flush()?;
            std::thread::sleep(Duration::from_secs(seconds.max(1)));
        }
    }

    fn show(&self, session: &Session) -> Result<()> {
        let listed = ps(session.ops()?, &self.options())?;
        match self.format.as_deref() {
            Some("json") => json::print(&session.out, &listed.iter().map(JsonRow::new).collect::<Vec<_>>()),
            None if self.quiet => self.show_ids(session, &listed),
            Some(format) if self.quiet && format.starts_with("table") => self.show_ids(session, &listed),
            format => {
                let rows: Vec<PsRow<'_>> = listed.iter().map(|one| PsRow::new(one, self.no_trunc)).collect();
                report::listing(&session.out, format, &self.columns(), !self.noheading, &rows)
            }
        }
    }

    fn options(&self) -> PsOptions {
        PsOptions {
            all: self.all,
            filters: self.filter.clone(),
            last: self.last.and_then(|count| usize::try_from(count).ok()),
            latest: self.latest,
            size: self.size || self.format.as_deref().is_some_and(|format| format.contains(".Size")),
            sort: self.sort.map(Sort::from),
        }
    }

    fn show_ids(&self, session: &Session, listed: &[Listed]) -> Result<()> {
        listed.iter().try_for_each(|one| {
            let id = &one.container.config.id;
            session.out.line(if self.no_trunc { id } else { crate::base::id::short(id) })
        })
    }

    fn columns(&self) -> String {
        let mut columns = if self.ns { NAMESPACES.to_owned() } else { COLUMNS.to_owned() };
        if self.pod {
            columns.push_str("\t{{.Pod}}\t{{.PodName}}");
        }
        if self.size {
            columns.push_str("\t{{.Size}}");
        }
        columns
    }
}
