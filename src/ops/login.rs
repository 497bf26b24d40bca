//! `login` and `logout`: credentials for registries, kept where podman and docker look for them.

use std::path::PathBuf;

use crate::base::error::{Explain, Kind, Result, fail};
use crate::registry::reference::DOCKER_IO;
use crate::registry::{Client, ClientOptions, Credentials, Registries, auth};

/// Where credentials are kept and how the registry is reached.
#[derive(Debug, Clone, Default)]
pub struct LoginOptions {
    /// A registry, or `registry/namespace`; Docker Hub when not given.
    pub registry: Option<String>,
    /// `--authfile`, `--compat-auth-file`
    pub authfile: Option<PathBuf>,
    /// `--cert-dir`
    pub cert_dir: Option<PathBuf>,
    /// `--tls-verify`
    pub tls_verify: Option<bool>,
}

impl LoginOptions {
    /// The key of the credentials: the registry without a scheme and a path of the API.
    pub fn key(&self) -> String {
        let text = self.registry.as_deref().unwrap_or(DOCKER_IO);
        let bare = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(text);
        bare.trim_end_matches('/').to_owned()
    }

    /// The user name that is kept for the registry, for `--get-login`.
    pub fn known_user(&self) -> Result<Option<String>> {
        let registries = Registries::load()?;
        let found = auth::find(self.authfile.as_deref(), &registries.credential_helpers, &self.key())?;
        Ok(found.map(|credentials| credentials.user().to_owned()))
    }
}

/// Checks credentials with the registry and keeps them.
pub fn login(options: &LoginOptions, credentials: &Credentials) -> Result<()> {
    let client = Client::new(ClientOptions {
        tls_verify: options.tls_verify,
        cert_dir: options.cert_dir.clone(),
        creds: Some(credentials.clone()),
        registries: Registries::load()?,
        ..ClientOptions::default()
    });
    client.check_login(&options.key())?;
    auth::store(&auth::writable(options.authfile.as_deref())?, &options.key(), credentials)
}

/// Forgets the credentials for a registry.
pub fn logout(options: &LoginOptions) -> Result<()> {
    let path = auth::writable(options.authfile.as_deref())?;
    if auth::forget(&path, &options.key())? {
        return Ok(());
    }
    if options.known_user()?.is_some() {
        return Err(fail(
            Kind::Failed,
            format!("the credentials for `{}` are kept in another file", options.key()),
        )
        .hint("name it with `--authfile`"));
    }
    Err(fail(Kind::Failed, format!("not logged into `{}`", options.key())))
}

/// Forgets all credentials.
pub fn logout_all(options: &LoginOptions) -> Result<()> {
    auth::forget_all(&auth::writable(options.authfile.as_deref())?)
}
