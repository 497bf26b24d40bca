//! `push`.

use std::path::PathBuf;

use clap::Args;

use crate::base::error::{Explain, Kind, Result, fail};
use crate::base::fs::{self, Durability};
use crate::cli::names;
use crate::cli::pull_source::{Reach, Source};
use crate::cli::refuse::flag_error;
use crate::cli::session::Session;
use crate::layer::codec::Compression;
use crate::ops::image::{ManifestFormat, PushOptions, push, push_all_tags};
use crate::ui::progress;

/// Push an image to a registry, or into files
#[derive(Debug, Args)]
pub struct PushArgs {
    /// All tags that the store has of the repository
    #[arg(short, long, conflicts_with_all = ["destination", "digestfile"])]
    all_tags: bool,
    /// Form of the manifest: oci or v2s2
    #[arg(short, long, value_name = "FORMAT", value_parser = ["oci", "v2s2", "v2s1"])]
    format: Option<String>,
    /// Compression of layers: gzip or zstd
    #[arg(long, value_name = "FORMAT", value_parser = ["gzip", "zstd", "zstd:chunked"])]
    compression_format: Option<String>,
    /// Level of the compression: 1 to 9 for gzip, 1 to 20 for zstd
    #[arg(long, value_name = "LEVEL", allow_negative_numbers = true)]
    compression_level: Option<i32>,
    /// Send layers in this compression even if the registry has them in another
    #[arg(long)]
    force_compression: bool,
    /// Compress the layers of a dir: destination with gzip
    #[arg(long)]
    compress: bool,
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
    /// Image, by name, digest or id
    #[arg(value_name = "IMAGE", add = names::images())]
    image: String,
    /// Where to, if not where its name says: NAME, docker://NAME, dir:PATH, oci:PATH[:TAG], oci-archive:PATH[:TAG] or
    /// docker-archive:PATH[:NAME]
    #[arg(value_name = "DESTINATION")]
    destination: Option<String>,
}

impl PushArgs {
    /// Pushes it.
    pub fn run(self, session: &Session) -> Result<()> {
        let (format, compression) = (self.manifest_format()?, self.compression()?);
        self.check_level(compression.unwrap_or(Compression::Gzip))?;
        let source = Source { reach: self.reach.clone(), ..Source::default() };
        let options = PushOptions {
            reach: source.options(session)?,
            format,
            compression,
            level: self.compression_level,
            force: self.force_compression,
            compress: self.compress,
        };
        let ops = session.ops()?;
        ops.enter_stage()?;
        let progress = progress::choose(self.quiet);
        if self.all_tags {
            return push_all_tags(ops, &self.image, &options, &*progress).map(drop);
        }
        let pushed = push(ops, &self.image, self.destination.as_deref(), &options, &*progress)?;
        match &self.digestfile {
            Some(path) => fs::replace(path, pushed.digest.as_str().as_bytes(), 0o644, Durability::Volatile),
            None => Ok(()),
        }
    }

    fn manifest_format(&self) -> Result<Option<ManifestFormat>> {
        match self.format.as_deref() {
            None => Ok(None),
            Some("oci") => Ok(Some(ManifestFormat::Oci)),
            Some("v2s2") => Ok(Some(ManifestFormat::Docker)),
            Some(old) => Err(flag_error(&format!("--format {old}"), "push")
                .hint("schema 1 is obsolete and refused by today's registries: use `v2s2` or `oci`")),
        }
    }

    fn compression(&self) -> Result<Option<Compression>> {
        match self.compression_format.as_deref() {
            None => Ok(None),
            Some("gzip") => Ok(Some(Compression::Gzip)),
            Some("zstd") => Ok(Some(Compression::Zstd)),
            Some(other) => Err(flag_error(&format!("--compression-format {other}"), "push")
                .hint("`zstd` is understood by the same clients; images in `zstd:chunked` can be pulled")),
        }
    }

    fn check_level(&self, compression: Compression) -> Result<()> {
        let most = if compression == Compression::Zstd { 20 } else { 9 };
        match self.compression_level {
            Some(level) if !(1..=most).contains(&level) => {
                Err(fail(Kind::Usage, format!("`--compression-level {level}` is not between 1 and {most}")))
            }
            _ => Ok(()),
        }
    }
}
