//! Commands about lists of images: Docker's manifest lists and OCI's image indexes.

pub mod add;
pub mod annotate;
pub mod create;
pub mod exists;
pub mod inspect;
pub mod push;
pub mod remove;
pub mod rm;

use std::collections::BTreeMap;

use clap::{Args, Subcommand};

use super::session::Session;
use crate::base::error::{Kind, Result, fail};
use crate::image::list::Changes;

/// Commands about lists of images
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum ManifestCommand {
    /// Add images to a list
    Add(add::ManifestAddArgs),
    /// Say something about an image of a list, or about the list
    Annotate(annotate::ManifestAnnotateArgs),
    /// Make a list
    Create(create::ManifestCreateArgs),
    /// Tell by the exit code whether a list is here
    Exists(exists::ManifestExistsArgs),
    /// Show a list
    Inspect(inspect::ManifestInspectArgs),
    /// Push a list and its images
    Push(push::ManifestPushArgs),
    /// Take an image out of a list
    Remove(remove::ManifestRemoveArgs),
    /// Remove lists
    Rm(rm::ManifestRmArgs),
}

impl ManifestCommand {
    /// Does it.
    pub fn run(self, session: &Session) -> Result<()> {
        match self {
            ManifestCommand::Add(args) => args.run(session),
            ManifestCommand::Annotate(args) => args.run(session),
            ManifestCommand::Create(args) => args.run(session),
            ManifestCommand::Exists(args) => args.run(session),
            ManifestCommand::Inspect(args) => args.run(session),
            ManifestCommand::Push(args) => args.run(session),
            ManifestCommand::Remove(args) => args.run(session),
            ManifestCommand::Rm(args) => args.run(session),
        }
    }
}

/// What is said about an image of a list: `add` and `annotate` share it.
#[derive(Debug, Args)]
pub struct Said {
    /// Annotation of the image: NAME=VALUE
    #[arg(long, value_name = "NAME=VALUE")]
    annotation: Vec<String>,
    /// Architecture of the image
    #[arg(long)]
    arch: Option<String>,
    /// Features of the processor that the image needs
    #[arg(long, value_name = "FEATURE", value_delimiter = ',')]
    features: Vec<String>,
    /// Operating system of the image
    #[arg(long)]
    os: Option<String>,
    /// Features of the operating system that the image needs
    #[arg(long, value_name = "FEATURE", value_delimiter = ',')]
    os_features: Vec<String>,
    /// Version of the operating system
    #[arg(long, value_name = "VERSION")]
    os_version: Option<String>,
    /// Variant of the architecture
    #[arg(long)]
    variant: Option<String>,
}

impl Said {
    fn changes(self) -> Result<Changes> {
        Ok(Changes {
            annotations: annotations(&self.annotation)?,
            arch: self.arch,
            features: self.features,
            os: self.os,
            os_features: self.os_features,
            os_version: self.os_version,
            variant: self.variant,
        })
    }
}

/// Reads annotations.
pub(super) fn annotations(typed: &[String]) -> Result<BTreeMap<String, String>> {
    let pair = |text: &String| match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(fail(Kind::Usage, format!("annotation `{text}` is not of the form NAME=VALUE"))),
    };
    typed.iter().map(pair).collect()
}
