//! `artifact inspect`.

use clap::Args;
use serde_json::json;

use crate::base::error::Result;
use crate::cli::session::Session;
use crate::ops::image::artifacts;
use crate::ui::{json, report};

/// Show everything about an artifact
#[derive(Debug, Args)]
pub struct ArtifactInspectArgs {
    /// `json`, or a Go template such as `{{.Digest}}`
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// The artifact, by name or digest
    #[arg(value_name = "ARTIFACT")]
    artifact: String,
}

impl ArtifactInspectArgs {
    /// Shows it.
    pub fn run(self, session: &Session) -> Result<()> {
        let found = artifacts::find(session.ops()?, &self.artifact)?;
        let document = json!({"Manifest": found.document, "Name": found.name, "Digest": found.digest});
        match self.format.as_deref() {
            None | Some("json") => json::print(&session.out, &document),
            Some(format) => report::one_document(&session.out, format, &document),
        }
    }
}
