//! `artifact ls`.

use clap::Args;
use serde::Serialize;

use crate::base::error::Result;
use crate::base::{id, units};
use crate::cli::session::Session;
use crate::ops::image::artifacts::{self, Artifact};
use crate::ui::report::Row;
use crate::ui::{json, report};

/// List artifacts
#[derive(Debug, Args)]
pub struct ArtifactLsArgs {
    /// `json`, or a Go template such as `{{.Repository}}`
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Show digests in full
    #[arg(long)]
    no_trunc: bool,
    /// No line of headings
    #[arg(short, long)]
    noheading: bool,
    /// Only the digests
    #[arg(short, long)]
    quiet: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ArtifactRow {
    digest: String,
    repository: String,
    size: String,
    tag: String,
    #[serde(rename = "VirtualSize")]
    bytes: u64,
}

impl Row for ArtifactRow {
    const HEADINGS: &'static [(&'static str, &'static str)] = &[
        ("Digest", "DIGEST"),
        ("Repository", "REPOSITORY"),
        ("Size", "SIZE"),
        ("Tag", "TAG"),
        ("VirtualSize", "VIRTUAL SIZE"),
    ];
}

impl ArtifactLsArgs {
    /// Lists them.
    pub fn run(self, session: &Session) -> Result<()> {
        let rows: Vec<ArtifactRow> =
            artifacts::list(session.ops()?)?.iter().map(|artifact| self.row(artifact)).collect();
        match self.format.as_deref() {
            Some("json") => json::print(&session.out, &rows),
            None if self.quiet => rows.iter().try_for_each(|row| session.out.line(&row.digest)),
            format => report::listing(
                &session.out,
                format,
                "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.Size}}",
                !self.noheading,
                &rows,
            ),
        }
    }

    fn row(&self, artifact: &Artifact) -> ArtifactRow {
        let hex = artifact.digest.hex();
        let (repository, tag) = artifact.name.rsplit_once(':').unwrap_or((&artifact.name, ""));
        ArtifactRow {
            digest: if self.no_trunc { hex.to_owned() } else { id::short(hex).to_owned() },
            repository: repository.to_owned(),
            size: units::human_short(artifact.size()),
            tag: tag.to_owned(),
            bytes: artifact.size(),
        }
    }
}
