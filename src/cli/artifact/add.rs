//! `artifact add`.

use std::path::PathBuf;

use clap::Args;

use crate::base::error::Result;
use crate::cli::manifest::annotations;
use crate::cli::session::Session;
use crate::ops::image::artifacts::{self, AddOptions};

/// Make an artifact of files and print its digest
#[derive(Debug, Args)]
pub struct ArtifactAddArgs {
    /// Annotation of the files: NAME=VALUE
    #[arg(long, value_name = "NAME=VALUE")]
    annotation: Vec<String>,
    /// Add to an artifact that is there
    #[arg(short, long, conflicts_with = "replace")]
    append: bool,
    /// Media type of the files, if it shall not be guessed
    #[arg(long, value_name = "TYPE")]
    file_type: Option<String>,
    /// Take the place of an artifact that is there
    #[arg(short, long)]
    replace: bool,
    /// Type of the artifact
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Name of the artifact
    #[arg(value_name = "NAME")]
    name: String,
    /// Files
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

impl ArtifactAddArgs {
    /// Makes it.
    pub fn run(self, session: &Session) -> Result<()> {
        let options = AddOptions {
            annotations: annotations(&self.annotation)?,
            append: self.append,
            replace: self.replace,
            kind: self.kind,
            file_type: self.file_type,
        };
        let digest = artifacts::add(session.ops()?, &self.name, &self.paths, &options)?;
        session.out.line(digest.hex())
    }
}
