//! Where an image comes from and how: what `pull`, `run` and `create` share.

use std::path::PathBuf;

use clap::Args;

use super::session::Session;
use super::values::go_bool;
use crate::base::error::{Kind, Result, fail};
use crate::base::time;
use crate::ops::create::CreateOptions;
use crate::ops::image::PullOptions;
use crate::registry::Platform;

/// Which platform.
#[derive(Debug, Clone, Default, Args)]
pub struct Which {
    /// Platform of the image: OS/ARCH[/VARIANT]
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<String>,
    /// Architecture of the image, instead of this machine's
    #[arg(long)]
    pub arch: Option<String>,
    /// Operating system of the image, instead of linux
    #[arg(long)]
    pub os: Option<String>,
    /// Variant of the architecture
    #[arg(long)]
    pub variant: Option<String>,
}

/// How a registry is reached.
#[derive(Debug, Clone, Default, Args)]
pub struct Reach {
    /// File of registry logins
    #[arg(long, value_name = "PATH", env = "REGISTRY_AUTH_FILE", hide_env = true)]
    pub authfile: Option<PathBuf>,
    /// Login for the registry: USER[:PASSWORD]
    #[arg(long, value_name = "CREDS")]
    pub creds: Option<String>,
    /// Directory of certificates for the registry
    #[arg(long, value_name = "DIR")]
    pub cert_dir: Option<PathBuf>,
    /// Demand https with a valid certificate
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool)]
    pub tls_verify: Option<bool>,
    /// How often to try again when the registry fails
    #[arg(long, value_name = "N")]
    pub retry: Option<u32>,
    /// How long to wait between tries
    #[arg(long, value_name = "DURATION")]
    pub retry_delay: Option<String>,
    /// Policy of where images may come from, in place of policy.json
    #[arg(long, value_name = "PATH", hide = true)]
    pub signature_policy: Option<PathBuf>,
    /// Docker's, without effect there too unless signing is switched on
    #[arg(long, hide = true)]
    pub disable_content_trust: bool,
}

/// What was typed.
#[derive(Debug, Default)]
pub struct Source {
    /// `--policy`, `--pull`
    pub policy: Option<String>,
    /// `--all-tags`
    pub all_tags: bool,
    /// The platform.
    pub which: Which,
    /// The way to the registry.
    pub reach: Reach,
}

impl Source {
    /// What `run` and `create` were given.
    pub fn of_create(options: &CreateOptions) -> Source {
        let typed = options.clone();
        let which =
            Which { platform: typed.platform, arch: typed.arch, os: typed.os, variant: typed.variant };
        let reach = Reach {
            authfile: typed.authfile,
            creds: typed.creds,
            cert_dir: typed.cert_dir,
            tls_verify: typed.tls_verify,
            retry: typed.retry,
            retry_delay: typed.retry_delay,
            signature_policy: None,
            disable_content_trust: false,
        };
        Source { policy: typed.pull, all_tags: false, which, reach }
    }

    /// Decides, with the defaults of `containers.conf`.
    pub fn options(self, session: &Session) -> Result<PullOptions> {
        let platform = self.which.decide()?;
        let reach = self.reach;
        let engine = &session.config()?.engine;
        let delay = reach.retry_delay.or_else(|| engine.retry_delay.clone());
        let policy = self.policy.or_else(|| engine.pull_policy.clone());
        Ok(PullOptions {
            policy: policy.map(|policy| policy.parse()).transpose()?.unwrap_or_default(),
            all_tags: self.all_tags,
            platform,
            authfile: session.authfile(reach.authfile),
            creds: reach.creds,
            tls_verify: reach.tls_verify,
            cert_dir: reach.cert_dir,
            signature_policy: reach.signature_policy,
            retry: reach.retry.or(engine.retry).unwrap_or(PullOptions::default().retry),
            retry_delay: delay.map(|delay| time::parse_duration(&delay)).transpose()?,
        })
    }
}

impl Which {
    fn decide(&self) -> Result<Option<Platform>> {
        let parts =
            [&self.os, &self.arch, &self.variant].map(|part| part.as_deref().filter(|part| !part.is_empty()));
        let by_parts = parts.iter().any(Option::is_some);
        match &self.platform {
            Some(_) if by_parts => {
                Err(fail(Kind::Usage, "`--platform` cannot go together with `--os`, `--arch` or `--variant`"))
            }
            Some(platform) => platform.parse().map(Some),
            None if by_parts => Ok(Some(Platform::host_with(parts[0], parts[1], parts[2]))),
            None => Ok(None),
        }
    }
}
