//! Where an image comes from and how: what `pull`, `run` and `create` share.

use std::path::PathBuf;

use super::session::Session;
use crate::base::error::{Kind, Result, fail};
use crate::base::time;
use crate::ops::create::CreateOptions;
use crate::ops::image::PullOptions;
use crate::registry::Platform;

/// What was typed.
#[derive(Debug, Default)]
pub struct Source {
    /// `--policy`, `--pull`
    pub policy: Option<String>,
    /// `--all-tags`
    pub all_tags: bool,
    /// `--platform`
    pub platform: Option<String>,
    /// `--os`
    pub os: Option<String>,
    /// `--arch`
    pub arch: Option<String>,
    /// `--variant`
    pub variant: Option<String>,
    /// `--authfile`
    pub authfile: Option<PathBuf>,
    /// `--creds`
    pub creds: Option<String>,
    /// `--cert-dir`
    pub cert_dir: Option<PathBuf>,
    /// `--tls-verify`
    pub tls_verify: Option<bool>,
    /// `--retry`
    pub retry: Option<u32>,
    /// `--retry-delay`
    pub retry_delay: Option<String>,
}

impl Source {
    /// What `run` and `create` were given.
    pub fn of_create(options: &CreateOptions) -> Source {
        let typed = options.clone();
        Source {
            policy: typed.pull,
            all_tags: false,
            platform: typed.platform,
            os: typed.os,
            arch: typed.arch,
            variant: typed.variant,
            authfile: typed.authfile,
            creds: typed.creds,
            cert_dir: typed.cert_dir,
            tls_verify: typed.tls_verify,
            retry: typed.retry,
            retry_delay: typed.retry_delay,
        }
    }

    /// Decides, with the defaults of `containers.conf`.
    pub fn options(self, session: &Session) -> Result<PullOptions> {
        let platform = self.wanted_platform()?;
        let engine = &session.config()?.engine;
        let delay = self.retry_delay.or_else(|| engine.retry_delay.clone());
        let policy = self.policy.or_else(|| engine.pull_policy.clone());
        Ok(PullOptions {
            policy: policy.map(|policy| policy.parse()).transpose()?.unwrap_or_default(),
            all_tags: self.all_tags,
            platform,
            authfile: session.authfile(self.authfile),
            creds: self.creds,
            tls_verify: self.tls_verify,
            cert_dir: self.cert_dir,
            retry: self.retry.or(engine.retry).unwrap_or(PullOptions::default().retry),
            retry_delay: delay.map(|delay| time::parse_duration(&delay)).transpose()?,
        })
    }

    fn wanted_platform(&self) -> Result<Option<Platform>> {
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
