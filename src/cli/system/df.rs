//! `system df`.

use clap::Args;
use serde::Serialize;

use super::df_rows::{ContainerRow, ImageRow, VolumeRow};
use crate::base::error::Result;
use crate::base::units;
use crate::cli::session::Session;
use crate::ops::system::{Usage, detailed, df};
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
        ("RawSize", "RAW SIZE"),
        ("RawReclaimable", "RAW RECLAIMABLE"),
        ("Size", "SIZE"),
        ("Reclaimable", "RECLAIMABLE"),
    ];
}

impl DfRow {
    fn new(usage: &Usage) -> DfRow {
        let bytes = usage.bytes;
        let share = (bytes.reclaimable * 100).checked_div(bytes.size).unwrap_or(0);
        DfRow {
            r#type: usage.kind,
            total: usage.total,
            total_count: usage.total,
            active: usage.active,
            raw_size: bytes.size,
            raw_reclaimable: bytes.reclaimable,
            size: units::human(bytes.size),
            reclaimable: format!("{} ({share}%)", units::human(bytes.reclaimable)),
        }
    }
}

/// Everything of `--verbose`, with Docker's field names.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Verbose {
    images: Vec<ImageRow>,
    containers: Vec<ContainerRow>,
    volumes: Vec<VolumeRow>,
}

impl DfArgs {
    /// Measures and prints a line a kind, or with `--verbose` a table.
    pub fn run(self, session: &Session) -> Result<()> {
        if self.verbose {
            return self.verbose(session);
        }
        let rows: Vec<DfRow> = df(session.ops()?)?.iter().map(DfRow::new).collect();
        if self.format.as_deref() == Some("json") {
            return json::print(&session.out, &rows);
        }
        let columns = "{{.Type}}\t{{.Total}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}";
        report::listing(&session.out, self.format.as_deref(), columns, true, &rows)
    }

    fn verbose(&self, session: &Session) -> Result<()> {
        let all = detailed(session.ops()?)?;
        let every = Verbose {
            images: all.images.iter().flat_map(ImageRow::all).collect(),
            containers: all.containers.iter().map(ContainerRow::new).collect(),
            volumes: all.volumes.iter().map(VolumeRow::new).collect(),
        };
        if let Some(format) = &self.format {
            return report::one(&session.out, format, &every);
        }
        section(session, "Images", ImageRow::COLUMNS, &every.images)?;
        session.out.line("")?;
        section(session, "Containers", ContainerRow::COLUMNS, &every.containers)?;
        session.out.line("")?;
        section(session, "Local Volumes", VolumeRow::COLUMNS, &every.volumes)
    }
}

fn section<R: Row>(session: &Session, title: &str, columns: &str, rows: &[R]) -> Result<()> {
    session.out.line(&format!("{title} space usage:"))?;
    session.out.line("")?;
    report::listing(&session.out, None, columns, true, rows)
}
