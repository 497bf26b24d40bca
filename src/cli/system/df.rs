//! `system df`.

use clap::Args;
use serde::Serialize;

use crate::base::error::{Kind, Result, fail};
use crate::base::units;
use crate::cli::session::Session;
use crate::ops::system::{Usage, df};
use crate::ui::json;
use crate::ui::report::{self, Row};

/// Show what the store takes on disk
#[derive(Debug, Args)]
pub struct DfArgs {
    /// `json`, or a Go template such as `{{.Type}} {{.Size}}`
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Every image, container and volume
    #[arg(short, long)]
    verbose: bool,
}

/// A line, with Docker's and podman's field names.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct DfRow {
    r#type: &'static str,
    total: usize,
    total_count: usize,
    active: usize,
    raw_size: u64,
    raw_reclaimable: u64,
    size: String,
    reclaimable: String,
}

impl Row for DfRow {
    const HEADINGS: &'static [(&'static str, &'static str)] = &[
        ("Type", "TYPE"),
        ("Total", "TOTAL"),
        ("TotalCount", "TOTAL"),
        ("Active", "ACTIVE"),
        ("Size", "SIZE"),
        ("Reclaimable", "RECLAIMABLE"),
    ];
}

impl DfRow {
    fn new(usage: &Usage) -> DfRow {
        let share = (usage.reclaimable * 100).checked_div(usage.size).unwrap_or(0);
        DfRow {
            r#type: usage.kind,
            total: usage.total,
            total_count: usage.total,
            active: usage.active,
            raw_size: usage.size,
            raw_reclaimable: usage.reclaimable,
            size: units::human(usage.size),
            reclaimable: format!("{} ({share}%)", units::human(usage.reclaimable)),
        }
    }
}

impl DfArgs {
    /// Measures and prints a line a kind.
    pub fn run(self, session: &Session) -> Result<()> {
        if self.verbose {
            return Err(fail(
                Kind::Usage,
                "`system df --verbose` is not supported yet: `images`, `ps -a --size`",
            ));
        }
        let rows: Vec<DfRow> = df(session.ops()?)?.iter().map(DfRow::new).collect();
        if self.format.as_deref() == Some("json") {
            return json::print(&session.out, &rows);
        }
        let columns = "{{.Type}}\t{{.Total}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}";
        report::listing(&session.out, self.format.as_deref(), columns, true, &rows)
    }
}
