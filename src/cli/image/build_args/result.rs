//! What is said about the result.

use std::path::PathBuf;

use clap::Args;

use super::looked_up;
use crate::base::error::Result;
use crate::cli::values::{go_bool, key_value};
use crate::ops::build::{BuildOptions, ResultOptions};
use crate::ops::image::own_name;

#[derive(Debug, Args)]
#[command(next_help_heading = "Result")]
pub(in crate::cli::image) struct ResultArgs {
    /// Name for the image
    #[arg(short, long, value_name = "NAME", value_delimiter = ',')]
    pub(in crate::cli::image) tag: Vec<String>,
    /// Label: NAME=VALUE
    #[arg(long, value_name = "NAME=VALUE")]
    pub(in crate::cli::image) label: Vec<String>,
    /// Label of the base that is not inherited
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli::image) unsetlabel: Vec<String>,
    /// Inherit the labels of bases (default true)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool)]
    pub(in crate::cli::image) inherit_labels: Option<bool>,
    /// Say in a label what built the image
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool)]
    pub(in crate::cli::image) identity_label: Option<bool>,
    /// Annotation of the manifest: NAME=VALUE
    #[arg(long, value_name = "NAME=VALUE")]
    pub(in crate::cli::image) annotation: Vec<String>,
    /// Variable of the image: NAME=VALUE; NAME takes the caller's
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub(in crate::cli::image) env: Vec<String>,
    /// Variable that the image does not keep
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli::image) unsetenv: Vec<String>,
    /// Leave history out
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool)]
    pub(in crate::cli::image) omit_history: Option<bool>,
    /// One layer for all that the build adds
    #[arg(long)]
    pub(in crate::cli::image) squash: bool,
    /// One layer for all, the base's included
    #[arg(long)]
    pub(in crate::cli::image) squash_all: bool,
    /// What becomes of the result: a directory, `-`, or type=local|tar|oci|docker|image,dest=PATH
    #[arg(short, long, value_name = "OUTPUT")]
    pub(in crate::cli::image) output: Vec<String>,
    /// Form of the manifest: oci or docker
    #[arg(long, value_name = "FORMAT", env = "BUILDAH_FORMAT", hide_env = true, value_parser = ["oci", "docker"])]
    pub(in crate::cli::image) format: Option<String>,
    /// Time of the image and of all files that it adds, in seconds since 1970
    #[arg(long, value_name = "SECONDS", conflicts_with = "source_date_epoch")]
    pub(in crate::cli::image) timestamp: Option<i64>,
    /// Time of the image, in seconds since 1970
    #[arg(long, value_name = "SECONDS", env = "SOURCE_DATE_EPOCH", hide_env = true)]
    pub(in crate::cli::image) source_date_epoch: Option<i64>,
    /// No file that it adds is later than --source-date-epoch
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool)]
    pub(in crate::cli::image) rewrite_timestamp: Option<bool>,
    /// File for the id of the image
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli::image) iidfile: Option<PathBuf>,
    /// The same, without `sha256:`
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli::image) iidfile_raw: Option<PathBuf>,
    /// File for what was built, as JSON
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli::image) metadata_file: Option<PathBuf>,
}

impl ResultArgs {
    pub(in crate::cli::image) fn fill(&self, options: &mut BuildOptions) -> Result<()> {
        options.outputs.clone_from(&self.output);
        options.names = self.tag.iter().map(|name| own_name(name)).collect::<Result<_>>()?;
        let pairs = |texts: &[String]| texts.iter().map(|text| key_value(text)).collect::<Result<Vec<_>>>();
        let env = self.env.iter().map(|text| looked_up("--env", text)).collect::<Result<Vec<_>>>()?;
        options.result = ResultOptions {
            docker: self.format.as_deref() == Some("docker"),
            labels: pairs(&self.label)?,
            unset_labels: self.unsetlabel.clone(),
            no_inherited_labels: self.inherit_labels == Some(false),
            identity_label: self.identity_label == Some(true),
            annotations: pairs(&self.annotation)?.into_iter().collect(),
            env: env.into_iter().flatten().collect(),
            unset_env: self.unsetenv.clone(),
            omit_history: self.omit_history == Some(true),
            squash: self.squash,
            squash_all: self.squash_all,
            timestamp: self.timestamp,
            epoch: self.source_date_epoch,
            rewrite: self.rewrite_timestamp == Some(true),
        };
        Ok(())
    }
}
