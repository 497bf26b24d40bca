//! `image copy`, `image cp`.

use std::path::PathBuf;

use clap::Args;

use crate::base::error::Result;
use crate::base::fs::{self, Durability};
use crate::cli::pull_source::{Reach, Source, Which};
use crate::cli::session::Session;
use crate::cli::values::go_bool;
use crate::layer::codec::Compression;
use crate::ops::image::{CopyOptions, Instances, ManifestFormat, PullOptions, copy};
use crate::ui::progress;

/// Copy an image from one place to another without storing it
///
/// Places are docker://NAME, dir:PATH, oci:PATH[:NAME], oci-archive:PATH[:NAME], docker-archive:PATH[:NAME] and
/// containers-storage:NAME.
#[derive(Debug, Args)]
pub struct ImageCopyArgs {
    /// Copy a list with all its images; the same as `--multi-arch all`
    #[arg(short, long)]
    all: bool,
    /// Which images of a list: system, all or index-only
    #[arg(long, value_name = "WHICH", value_parser = ["system", "all", "index-only"], conflicts_with = "all")]
    multi_arch: Option<String>,
    /// Form of the manifest: oci or v2s2
    #[arg(short, long, value_name = "FORMAT", value_parser = ["oci", "v2s2"])]
    format: Option<String>,
    /// Fail where the digests could not stay the same
    #[arg(long)]
    preserve_digests: bool,
    /// Compression of layers: gzip or zstd
    #[arg(long, value_name = "FORMAT", value_parser = ["gzip", "zstd"])]
    dest_compress_format: Option<String>,
    /// Level of the compression
    #[arg(long, value_name = "LEVEL")]
    dest_compress_level: Option<i32>,
    /// Write the digest of the copied manifest to a file
    #[arg(long, value_name = "PATH")]
    digestfile: Option<PathBuf>,
    /// Say nothing
    #[arg(short, long)]
    quiet: bool,
    /// Leave signatures out; dhow copies none
    #[arg(long)]
    remove_signatures: bool,
    /// How often to try again when a registry fails
    #[arg(long, visible_alias = "retry-times", value_name = "N")]
    retry: Option<u32>,
    /// How long to wait between tries
    #[arg(long, value_name = "DURATION")]
    retry_delay: Option<String>,
    /// File of registry logins
    #[arg(long, value_name = "PATH", env = "REGISTRY_AUTH_FILE", hide_env = true)]
    authfile: Option<PathBuf>,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    ends: Ends,
    /// The place to copy from
    #[arg(value_name = "SOURCE")]
    source: String,
    /// The place to copy to
    #[arg(value_name = "DESTINATION")]
    destination: String,
}

/// How the registries of both ends are reached.
#[derive(Debug, Args)]
struct Ends {
    /// File of registry logins for the source
    #[arg(long, value_name = "PATH")]
    src_authfile: Option<PathBuf>,
    /// Directory of certificates for the source
    #[arg(long, value_name = "DIR")]
    src_cert_dir: Option<PathBuf>,
    /// Login for the source: USER:PASSWORD
    #[arg(long, value_name = "CREDS")]
    src_creds: Option<String>,
    /// Demand https with a valid certificate of the source
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool)]
    src_tls_verify: Option<bool>,
    /// File of registry logins for the destination
    #[arg(long, value_name = "PATH")]
    dest_authfile: Option<PathBuf>,
    /// Directory of certificates for the destination
    #[arg(long, value_name = "DIR")]
    dest_cert_dir: Option<PathBuf>,
    /// Login for the destination: USER:PASSWORD
    #[arg(long, value_name = "CREDS")]
    dest_creds: Option<String>,
    /// Demand https with a valid certificate of the destination
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool)]
    dest_tls_verify: Option<bool>,
}

impl ImageCopyArgs {
    /// Copies it.
    pub fn run(mut self, session: &Session) -> Result<()> {
        let (from, to) = self.reach(session)?;
        let instances = match self.multi_arch.as_deref() {
            Some("all") => Instances::All,
            Some("index-only") => Instances::IndexOnly,
            _ if self.all => Instances::All,
            _ => Instances::System,
        };
        let format = |word: &str| if word == "v2s2" { ManifestFormat::Docker } else { ManifestFormat::Oci };
        let compression = |word: &str| if word == "zstd" { Compression::Zstd } else { Compression::Gzip };
        let options = CopyOptions {
            from,
            to,
            instances,
            format: self.format.as_deref().map(format),
            compression: self.dest_compress_format.as_deref().map(compression),
            level: self.dest_compress_level,
            force: self.dest_compress_format.is_some(),
            preserve: self.preserve_digests,
        };
        let ops = session.ops()?;
        ops.enter_stage()?;
        let progress = progress::choose(self.quiet);
        let digest = copy(ops, &self.source, &self.destination, &options, &*progress)?;
        match &self.digestfile {
            Some(path) => fs::replace(path, digest.as_str().as_bytes(), 0o644, Durability::Volatile),
            None => Ok(()),
        }
    }

    /// How both ends are reached.
    fn reach(&mut self, session: &Session) -> Result<(PullOptions, PullOptions)> {
        let ends = &self.ends;
        let common = Reach {
            retry: self.retry,
            retry_delay: self.retry_delay.clone(),
            authfile: self.authfile.clone(),
            ..Reach::default()
        };
        let from = Reach {
            authfile: ends.src_authfile.clone().or(self.authfile.clone()),
            cert_dir: ends.src_cert_dir.clone(),
            creds: ends.src_creds.clone(),
            tls_verify: ends.src_tls_verify,
            ..common.clone()
        };
        let to = Reach {
            authfile: ends.dest_authfile.clone().or(self.authfile.clone()),
            cert_dir: ends.dest_cert_dir.clone(),
            creds: ends.dest_creds.clone(),
            tls_verify: ends.dest_tls_verify,
            ..common
        };
        let which = std::mem::take(&mut self.which);
        let from = Source { reach: from, which, ..Source::default() }.options(session)?;
        let to = Source { reach: to, ..Source::default() }.options(session)?;
        Ok((from, to))
    }
}
