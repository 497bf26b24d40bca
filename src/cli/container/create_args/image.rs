//! Where the root file system comes from.

use clap::Args;

use crate::base::error::Result;
use crate::cli::global::check_runtime;
use crate::cli::pull_source::{Reach, Which};
use crate::ops::create::CreateOptions;

#[derive(Debug, Args)]
#[command(next_help_heading = "Image")]
pub(super) struct ImageArgs {
    /// When to pull the image: missing, always, newer or never
    #[arg(long, value_name = "POLICY",
          value_parser = ["missing", "always", "newer", "never", "true", "false"])]
    pull: Option<String>,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    reach: Reach,
    /// Say nothing while the image is pulled
    #[arg(short, long)]
    quiet: bool,
    /// The first word is a directory, not an image (DIR:O keeps it unchanged)
    #[arg(long)]
    rootfs: bool,
    /// What becomes of the image's volumes: anonymous, tmpfs or ignore
    #[arg(long, value_name = "MODE")]
    image_volume: Option<String>,
    #[arg(long, value_name = "NAME", hide = true)]
    runtime: Option<String>,
}

impl ImageArgs {
    pub(super) fn fill(self, options: &mut CreateOptions) -> Result<()> {
        check_runtime(self.runtime.as_deref())?;
        options.pull = self.pull.map(|policy| match policy.as_str() {
            "true" => "always".into(),
            "false" => "missing".into(),
            _ => policy,
        });
        options.platform = self.which.platform;
        options.arch = self.which.arch;
        options.os = self.which.os;
        options.variant = self.which.variant;
        options.authfile = self.reach.authfile;
        options.creds = self.reach.creds;
        options.cert_dir = self.reach.cert_dir;
        options.tls_verify = self.reach.tls_verify;
        options.retry = self.reach.retry;
        options.retry_delay = self.reach.retry_delay;
        options.quiet = self.quiet;
        options.rootfs = self.rootfs;
        options.image_volume = self.image_volume;
        Ok(())
    }
}
