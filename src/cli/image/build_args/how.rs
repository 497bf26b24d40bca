//! How it is built.

use std::path::PathBuf;

use clap::Args;

use crate::base::error::{Explain, Kind, Result, fail};
use crate::base::time;
use crate::cli::refuse::flag_error;
use crate::cli::values::go_bool;
use crate::ops::build::{BuildOptions, CacheOptions};

#[derive(Debug, Args)]
#[command(next_help_heading = "Cache and output")]
pub(in crate::cli::image) struct HowArgs {
    /// Do every step anew
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool)]
    pub(in crate::cli::image) no_cache: Option<bool>,
    /// Do every step of this stage anew
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    pub(in crate::cli::image) no_cache_filter: Vec<String>,
    /// Use no step that was done longer ago
    #[arg(long, value_name = "DURATION")]
    pub(in crate::cli::image) cache_ttl: Option<String>,
    /// A layer for each step, and steps that are used again (default true)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool)]
    pub(in crate::cli::image) layers: Option<bool>,
    /// Only print the id
    #[arg(short, long)]
    pub(in crate::cli::image) quiet: bool,
    /// How progress is shown: auto or plain
    #[arg(long, value_name = "FORM", value_parser = ["auto", "plain"])]
    pub(in crate::cli::image) progress: Option<String>,
    /// File for what is said, in place of stderr
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli::image) logfile: Option<PathBuf>,
    /// Docker's: nothing is left behind anyway
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool, hide = true)]
    pub(in crate::cli::image) rm: Option<bool>,
    /// Docker's: nothing is left behind anyway
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool, hide = true)]
    pub(in crate::cli::image) force_rm: Option<bool>,
    /// Docker's: the image is always put into the store
    #[arg(long, hide = true)]
    pub(in crate::cli::image) load: bool,
    /// Docker's, of no effect there either
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool, hide = true)]
    pub(in crate::cli::image) compress: Option<bool>,
    /// Layers are stored uncompressed anyway
    #[arg(short = 'D', long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool, hide = true)]
    pub(in crate::cli::image) disable_compression: Option<bool>,
    /// Docker's: `false`, since no attestations are made
    #[arg(long, value_name = "BOOL", hide = true)]
    pub(in crate::cli::image) provenance: Option<String>,
    /// Docker's: `false`, since no attestations are made
    #[arg(long, value_name = "BOOL", hide = true)]
    pub(in crate::cli::image) sbom: Option<String>,
    /// Docker's: `default`, since there is one builder
    #[arg(long, value_name = "NAME", value_parser = ["default"], hide = true)]
    pub(in crate::cli::image) builder: Option<String>,
}

impl HowArgs {
    pub(in crate::cli::image) fn fill(&self, options: &mut BuildOptions) -> Result<()> {
        for (flag, value) in [("--provenance", &self.provenance), ("--sbom", &self.sbom)] {
            if value.as_deref().is_some_and(|value| value != "false") {
                return Err(fail(
                    Kind::Usage,
                    format!("`{flag}` is not supported: no attestations are made"),
                ));
            }
        }
        let cannot = [
            ("--rm=false", self.rm, "no container of a `RUN` is kept"),
            ("--disable-compression=false", self.disable_compression, "the store keeps layers uncompressed"),
        ];
        for (flag, value, why) in cannot {
            if value == Some(false) {
                return Err(flag_error(flag, "build").hint(why));
            }
        }
        let one_layer = self.layers == Some(false);
        options.result.squash |= one_layer;
        options.cache = CacheOptions {
            off: self.no_cache == Some(true) || one_layer,
            off_stages: self.no_cache_filter.clone(),
            ttl: self.cache_ttl.as_deref().map(time::parse_duration).transpose()?,
        };
        Ok(())
    }
}
