//! `pull`.

use std::path::PathBuf;

use clap::Args;

use crate::base::error::{Collected, Result};
use crate::cli::pull_source::Source;
use crate::cli::session::Session;
use crate::cli::values::go_bool;
use crate::ops::image::pull;
use crate::ui::progress;

/// Pull images from a registry
#[derive(Debug, Args)]
pub struct PullArgs {
    /// All tags of the repository
    #[arg(short, long)]
    all_tags: bool,
    /// Platform: OS/ARCH[/VARIANT]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,
    /// Architecture, instead of this machine's
    #[arg(long)]
    arch: Option<String>,
    /// Operating system, instead of linux
    #[arg(long)]
    os: Option<String>,
    /// Variant of the architecture
    #[arg(long)]
    variant: Option<String>,
    /// When to pull: always, missing, newer or never
    #[arg(long, value_name = "POLICY", default_value = "always", hide_default_value = true,
          value_parser = ["always", "missing", "newer", "never"])]
    policy: String,
    /// Only print the id
    #[arg(short, long)]
    quiet: bool,
    /// File of registry logins
    #[arg(long, value_name = "PATH", env = "REGISTRY_AUTH_FILE", hide_env = true)]
    authfile: Option<PathBuf>,
    /// Login for the registry: USER[:PASSWORD]
    #[arg(long)]
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
    // Docker's, without effect there too unless signing is switched on.
    #[arg(long, hide = true)]
    disable_content_trust: bool,
    /// Images to pull
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
}

impl PullArgs {
    /// Pulls them and prints the id of each.
    pub fn run(self, session: &Session) -> Result<()> {
        let source = Source {
            policy: Some(self.policy),
            all_tags: self.all_tags,
            platform: self.platform,
            os: self.os,
            arch: self.arch,
            variant: self.variant,
            authfile: self.authfile,
            creds: self.creds,
            cert_dir: self.cert_dir,
            tls_verify: self.tls_verify,
            retry: self.retry,
            retry_delay: self.retry_delay,
        };
        let options = source.options(session)?;
        let progress = progress::choose(self.quiet);
        let ops = session.ops()?;
        ops.enter_stage()?;
        let mut failed = Collected::default();
        for image in &self.images {
            let Some(pulled) = failed.note(pull(ops, image, &options, &*progress)) else { continue };
            for one in pulled {
                one.warnings.iter().for_each(|warning| session.warn(warning));
                session.out.now(one.id.hex())?;
            }
        }
        failed.finish()
    }
}
