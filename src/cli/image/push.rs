//! `push`.

use std::path::PathBuf;

use clap::Args;

use crate::base::error::{Result, bail};
use crate::base::fs::{self, Durability};
use crate::cli::names;
use crate::cli::pull_source::{Reach, Source};
use crate::cli::session::Session;
use crate::layer::codec::Compression;
use crate::ops::image::{ManifestFormat, PushOptions, push};
use crate::ui::progress;

/// Push an image to a registry
#[derive(Debug, Args)]
pub struct PushArgs {
    /// Form of the manifest: oci or v2s2
    #[arg(short, long, value_name = "FORMAT", value_parser = ["oci", "v2s2"])]
    format: Option<String>,
    /// Compression of layers: gzip or zstd
    #[arg(long, value_name = "FORMAT", value_parser = ["gzip", "zstd"])]
    compression_format: Option<String>,
    /// Level of the compression
    #[arg(long, value_name = "LEVEL")]
    compression_level: Option<i32>,
    /// Send layers in this compression even if the registry has them in another
    #[arg(long)]
    force_compression: bool,
    /// Write the digest of the pushed manifest to a file
    #[arg(long, value_name = "PATH")]
    digestfile: Option<PathBuf>,
    /// Say nothing
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    reach: Reach,
    /// Leave signatures out; dhow pushes none
    #[arg(long)]
    remove_signatures: bool,
    /// Image, by name or id
    #[arg(value_name = "IMAGE", add = names::images())]
    image: String,
    /// Where to, if not where its name says
    #[arg(value_name = "DESTINATION")]
    destination: Option<String>,
}

impl PushArgs {
    /// Pushes it.
    pub fn run(self, session: &Session) -> Result<()> {
        let transports =
            ["dir:", "oci:", "oci-archive:", "docker-archive:", "containers-storage:", "docker-daemon:"];
        if let Some(to) =
            self.destination.as_deref().filter(|to| transports.iter().any(|t| to.starts_with(t)))
        {
            bail!("push to `{to}`: not supported yet; `save --format` writes archives and directories");
        }
        let source = Source { reach: self.reach, ..Source::default() };
        let compression = |word: &str| if word == "zstd" { Compression::Zstd } else { Compression::Gzip };
        let format = |word: &str| if word == "v2s2" { ManifestFormat::Docker } else { ManifestFormat::Oci };
        let options = PushOptions {
            reach: source.options(session)?,
            format: self.format.as_deref().map(format),
            compression: self.compression_format.as_deref().map(compression),
            level: self.compression_level,
            force: self.force_compression,
        };
        let ops = session.ops()?;
        ops.enter_stage()?;
        let progress = progress::choose(self.quiet);
        let pushed = push(ops, &self.image, self.destination.as_deref(), &options, &*progress)?;
        match &self.digestfile {
            Some(path) => fs::replace(path, pushed.digest.as_str().as_bytes(), 0o644, Durability::Volatile),
            None => Ok(()),
        }
    }
}
