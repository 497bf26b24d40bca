//! Where the root file system comes from.

use std::path::PathBuf;

use clap::Args;

use crate::base::error::Result;
use crate::cli::global::check_runtime;
use crate::cli::values::go_bool;
use crate::ops::create::CreateOptions;

#[derive(Debug, Args)]
#[command(next_help_heading = "Image")]
pub(super) struct ImageArgs {
    /// When to pull the image: missing, always, newer or never
    #[arg(long, value_name = "POLICY",
          value_parser = ["missing", "always", "newer", "never", "true", "false"])]
    pull: Option<String>,
    /// Platform of the image: OS/ARCH[/VARIANT]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,
    /// Architecture of the image, instead of this machine's
    #[arg(long)]
    arch: Option<String>,
    /// Operating system of the image, instead of linux
    #[arg(long)]
    os: Option<String>,
    /// Variant of the architecture
    #[arg(long)]
    variant: Option<String>,
    /// File of registry logins
    #[arg(long, value_name = "PATH", env = "REGISTRY_AUTH_FILE", hide_env = true)]
    authfile: Option<PathBuf>,
    /// Login for the registry: USER[:PASSWORD]
    #[arg(long, value_name = "CREDS")]
    creds: Option<String>,
    /// Directory of certificates for the registry
    #[arg(long, value_name = "DIR")]
    cert_dir: Option<PathBuf>,
    /// Demand https with a valid certificate
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool)]
    tls_verify: Option<bool>,
    /// How often to try again when the registry fails
    #[arg(long, value_name = "N")]
    retry: Option<u32>,
    /// How long to wait between tries
    #[arg(long, value_name = "DURATION")]
    retry_delay: Option<String>,
    /// Say nothing while the image is pulled
    #[arg(short, long)]
    quiet: bool,
    /// The first word is a directory, not an image (DIR:O keeps it unchanged)
    #[arg(long)]
    rootfs: bool,
    /// What becomes of the image's volumes: anonymous, tmpfs or ignore
    #[arg(long, value_name = "MODE")]
    image_volume: Option<String>,
    // Docker's, without effect there too unless signing is switched on.
    #[arg(long, hide = true)]
    disable_content_trust: bool,
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
        options.platform = self.platform;
        options.arch = self.arch;
        options.os = self.os;
        options.variant = self.variant;
        options.authfile = self.authfile;
        options.creds = self.creds;
        options.cert_dir = self.cert_dir;
        options.tls_verify = self.tls_verify;
        options.retry = self.retry;
        options.retry_delay = self.retry_delay;
        options.quiet = self.quiet;
        options.rootfs = self.rootfs;
        options.image_volume = self.image_volume;
        Ok(())
    }
}
