//! `manifest push`.

use std::path::PathBuf;

use clap::Args;

use crate::base::error::Result;
use crate::base::fs::{self, Durability};
use crate::cli::image::rm::remove_container;
use crate::cli::names;
use crate::cli::pull_source::{Reach, Source};
use crate::cli::session::Session;
use crate::cli::values::go_bool;
use crate::layer::codec::Compression;
use crate::ops::image::lists;
use crate::ops::image::{CopyOptions, Instances, ManifestFormat, RemoveOptions, remove};
use crate::ui::progress;

/// Push a list of images, and the images
#[derive(Debug, Args)]
pub struct ManifestPushArgs {
    /// Push the images too
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true",
          default_missing_value = "true", hide_default_value = true, value_parser = go_bool)]
    all: bool,
    /// Compression of layers that have none: gzip or zstd
    #[arg(long, value_name = "FORMAT", value_parser = ["gzip", "zstd"])]
    compression_format: Option<String>,
    /// Level of the compression
    #[arg(long, value_name = "LEVEL")]
    compression_level: Option<i32>,
    /// Write the digest of the pushed list to a file
    #[arg(long, value_name = "PATH")]
    digestfile: Option<PathBuf>,
    /// Bring layers of another compression into the given one
    #[arg(long)]
    force_compression: bool,
    /// Form of the list and its images: oci or v2s2
    #[arg(short, long, value_name = "FORMAT", value_parser = ["oci", "v2s2"])]
    format: Option<String>,
    /// Say nothing
    #[arg(short, long)]
    quiet: bool,
    /// Leave signatures out; dhow pushes none
    #[arg(long)]
    remove_signatures: bool,
    /// Remove the list when it is pushed
    #[arg(long, visible_alias = "purge", short_alias = 'p')]
    rm: bool,
    /// Docker's name for `--tls-verify=false`
    #[arg(long, hide = true, conflicts_with = "tls_verify")]
    insecure: bool,
    #[command(flatten)]
    reach: Reach,
    /// The list, by name or id
    #[arg(value_name = "LIST", add = names::images())]
    list: String,
    /// Where to, if not where its name says
    #[arg(value_name = "DESTINATION")]
    destination: Option<String>,
}

impl ManifestPushArgs {
    /// Pushes it.
    pub fn run(mut self, session: &Session) -> Result<()> {
        if self.insecure {
            self.reach.tls_verify = Some(false);
        }
        let reach = Source { reach: self.reach, ..Source::default() }.options(session)?;
        let format = |word: &str| if word == "v2s2" { ManifestFormat::Docker } else { ManifestFormat::Oci };
        let compression = |word: &str| if word == "zstd" { Compression::Zstd } else { Compression::Gzip };
        let options = CopyOptions {
            from: reach.clone(),
            to: reach,
            instances: if self.all { Instances::All } else { Instances::IndexOnly },
            format: self.format.as_deref().map(format),
            compression: self.compression_format.as_deref().map(compression),
            level: self.compression_level,
            force: self.force_compression,
            preserve: false,
        };
        let ops = session.ops()?;
        ops.enter_stage()?;
        let progress = progress::choose(self.quiet);
        let digest = lists::push(ops, &self.list, self.destination.as_deref(), &options, &*progress)?;
        if let Some(path) = &self.digestfile {
            fs::replace(path, digest.as_str().as_bytes(), 0o644, Durability::Volatile)?;
        }
        if self.rm {
            remove(ops, &[self.list], &RemoveOptions::default(), &remove_container).1?;
        }
        Ok(())
    }
}
