//! `commit`.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::base::error::{Context, Result};
use crate::base::fs::{self, Durability};
use crate::cli::names;
use crate::cli::session::Session;
use crate::cli::values::go_bool;
use crate::image::config::{self, Settings};
use crate::ops::container::changes::{CommitOptions, commit};
use crate::ops::image::{About, own_name};

/// Make an image of what a container has become
#[derive(Debug, Args)]
pub struct CommitArgs {
    /// Author of the image
    #[arg(short, long, value_name = "NAME", default_value = "", hide_default_value = true)]
    author: String,
    /// Apply a Dockerfile instruction to the image
    #[arg(short, long, value_name = "INSTRUCTION")]
    change: Vec<String>,
    /// File with a configuration (JSON, as an image's `config`) to merge into the image's
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
    /// Form of the manifest: oci or docker
    #[arg(short, long, value_name = "FORMAT", value_parser = ["oci", "docker"])]
    format: Option<String>,
    /// Write the image's id to a file
    #[arg(long, value_name = "PATH")]
    iidfile: Option<PathBuf>,
    /// The container's volumes become volumes of the image
    #[arg(long)]
    include_volumes: bool,
    /// Message for the history
    #[arg(short, long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    message: String,
    /// Freeze the container meanwhile, where that is possible (default true)
    #[arg(short, long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool)]
    pause: Option<bool>,
    /// Only print the id
    #[arg(short, long)]
    quiet: bool,
    /// One layer in place of all
    #[arg(short, long)]
    squash: bool,
    /// Container, by name or id
    #[arg(value_name = "CONTAINER", add = names::containers())]
    container: String,
    /// Name for the image
    #[arg(value_name = "IMAGE")]
    image: Option<String>,
}

fn settings(path: &Path) -> Result<Settings> {
    let bytes = fs::read_limited(path, config::LIMIT)?;
    serde_json::from_slice(&bytes).with_context(|| format!("read `{}` as a configuration", path.display()))
}

impl CommitArgs {
    /// Makes it and prints its id.
    pub fn run(self, session: &Session) -> Result<()> {
        let ops = session.ops()?;
        let container = ops.containers()?.resolve(&self.container)?;
        let names = self.image.as_deref().map(own_name).transpose()?.into_iter().collect();
        let docker = self.format.as_deref() == Some("docker");
        let created_by = container.config.process.command.join(" ");
        let options = CommitOptions {
            about: About {
                author: self.author,
                message: self.message,
                settings: self.config.as_deref().map(settings).transpose()?,
                changes: self.change,
                names,
                created_by,
                docker,
            },
            pause: self.pause.unwrap_or(true),
            squash: self.squash,
            include_volumes: self.include_volumes,
        };
        let id = commit(ops, &container, &options)?;
        if let Some(path) = &self.iidfile {
            fs::replace(path, id.as_str().as_bytes(), 0o644, Durability::Volatile)?;
        }
        session.out.line(id.hex())
    }
}
