//! `login` and `logout`: credentials for registries, kept where podman and docker look for them.

use std::path::PathBuf;

use crate::base::error::{Context, Explain, Kind, Result, fail};
use crate::registry::reference::DOCKER_IO;
use crate::registry::{Client, ClientOptions, Credentials, Registries, auth};

/// Where credentials are kept and how the registry is reached.
#[derive(Debug, Clone, Default)]
pub struct LoginOptions {
    /// A registry, or `registry/namespace`; Docker Hub when not given.
    pub registry: Option<String>,
    /// `--authfile`, `--compat-auth-file`
    pub authfile: Option<PathBuf>,
    /// The file is written as Docker does.
    pub docker: bool,
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
        let bare = bare.trim_end_matches('/');
        match bare.split_once('/') {
            // How old Dockers call registries.
            Some((host, "v1" | "v2")) => name_of(host).to_owned(),
            _ => name_of(bare).to_owned(),
        }
    }

    /// What is kept for the registry.
    pub fn known(&self) -> Result<Option<Credentials>> {
        let registries = Registries::load()?;
        auth::find(self.authfile.as_deref(), &registries.credential_helpers, &self.key())
    }

    /// The user name that is kept for the registry, for `--get-login`. No file of that name knows nobody.
    pub fn known_user(&self) -> Result<Option<String>> {
        if auth::writable(self.authfile.as_deref()).is_ok_and(|path| !path.exists())
            && self.authfile.is_some()
        {
            return Ok(None);
        }
        Ok(self.known()?.map(|credentials| credentials.user().to_owned()))
    }

    /// Asks the registry whether it takes credentials.
    pub fn check(&self, credentials: &Credentials) -> Result<()> {
        let client = Client::new(ClientOptions {
            tls_verify: self.tls_verify,
            cert_dir: self.cert_dir.clone(),
            creds: Some(credentials.clone()),
            registries: Registries::load()?,
            ..ClientOptions::default()
        });
        client.check_login(&self.key()).with_context(|| format!("log in to `{}`", self.key()))
    }
}

/// Docker Hub has several names.
fn name_of(registry: &str) -> &str {
    match registry {
        "index.docker.io" | "registry-1.docker.io" | "hub.docker.com" => DOCKER_IO,
        other => other,
    }
}

/// Checks credentials with the registry and keeps them; gives the file they went to, if it was one.
pub fn login(options: &LoginOptions, credentials: &Credentials) -> Result<Option<PathBuf>> {
    options.check(credentials)?;
    let (key, helpers) = (options.key(), Registries::load()?.credential_helpers);
    if options.authfile.is_none() && auth::store_outside(&helpers, &key, credentials)? {
        return Ok(None);
    }
    let path = auth::writable(options.authfile.as_deref())?;
    if options.docker {
        auth::store_as_docker(&path, &key, credentials)?;
    } else {
        auth::store(&path, &key, credentials)?;
    }
    Ok(Some(path))
}

/// Forgets the credentials for a registry.
pub fn logout(options: &LoginOptions) -> Result<()> {
    let (key, path) = (options.key(), auth::writable(options.authfile.as_deref())?);
    let outside = match &options.authfile {
        None => auth::forget_outside(&Registries::load()?.credential_helpers, Some(&key))?,
        Some(_) => false,
    };
    if auth::forget(&path, &key)? || outside {
        return Ok(());
    }
    if options.known_user()?.is_some() {
        return Err(fail(Kind::Failed, format!("the credentials for `{key}` are kept in another file"))
            .hint("name it with `--authfile`"));
    }
    Err(fail(Kind::Failed, format!("not logged into `{key}`")))
}

/// Forgets all credentials.
pub fn logout_all(options: &LoginOptions) -> Result<()> {
    if options.authfile.is_none() {
        auth::forget_outside(&Registries::load()?.credential_helpers, None)?;
    }
    auth::forget_all(&auth::writable(options.authfile.as_deref())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_registries_however_they_are_written() {
        for (typed, key) in [
            (None, "docker.io"),
            (Some("https://index.docker.io/v1/"), "docker.io"),
            (Some("registry-1.docker.io"), "docker.io"),
            (Some("quay.io"), "quay.io"),
            (Some("https://quay.io/"), "quay.io"),
            (Some("http://localhost:5000/v2/"), "localhost:5000"),
            (Some("quay.io/team/app"), "quay.io/team/app"),
        ] {
            let options = LoginOptions { registry: typed.map(str::to_owned), ..LoginOptions::default() };
            assert_eq!(options.key(), key, "{typed:?}");
        }
    }
}
