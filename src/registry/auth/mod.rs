//! Credentials: where they are looked for, and how `login` and `logout` keep them (containers-auth.json(5)).
//!
//! Order: `--creds`; then `--authfile` or `REGISTRY_AUTH_FILE` alone; else `$DOCKER_CONFIG/config.json`,
//! `$XDG_RUNTIME_DIR/containers/auth.json`, `~/.config/containers/auth.json`, `~/.docker/config.json`, then the
//! credential helpers of registries.conf. The first that knows the registry wins. In a file, `quay.io/a/b` is looked up as
//! itself, then `quay.io/a`, then `quay.io`.
//!
//! A secret never stands in an error, a `Debug` form or a command line.

mod file;
mod helper;

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::base::error::{Kind, Result, bail, fail};
use crate::base::roots;

pub use file::AuthFile;

/// What proves who the caller is.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// User name and password (or access token used as one).
    Password {
        /// The name.
        user: String,
        /// The secret.
        password: String,
    },
    /// An OAuth refresh token, given to the registry's token server.
    IdentityToken(String),
}

impl Credentials {
    /// Reads `user:password`, as `--creds` takes it.
    pub fn parse(text: &str) -> Result<Credentials> {
        match text.split_once(':') {
            Some((user, password)) if !user.is_empty() => {
                Ok(Credentials::Password { user: user.to_owned(), password: password.to_owned() })
            }
            _ => Err(fail(Kind::Usage, "credentials have the form `user:password`")),
        }
    }

    /// The user's name, which is no secret.
    pub fn user(&self) -> &str {
        match self {
            Credentials::Password { user, .. } => user,
            Credentials::IdentityToken(_) => "<token>",
        }
    }

    /// The value of an `Authorization: Basic` header; an identity token has none.
    pub(super) fn basic(&self) -> Option<String> {
        match self {
            Credentials::Password { user, password } => {
                Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
            }
            Credentials::IdentityToken(_) => None,
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({}, secret)", self.user())
    }
}

/// Finds the credentials for `registry/repository`; `authfile` is `--authfile`.
pub fn find(authfile: Option<&Path>, helpers: &[String], name: &str) -> Result<Option<Credentials>> {
    if let Some(only) = chosen_file(authfile) {
        let file = AuthFile::read(&only)?;
        let file =
            file.ok_or_else(|| fail(Kind::Failed, format!("auth file `{}` does not exist", only.display())));
        return file?.lookup(name);
    }
    for path in search_path() {
        if let Some(file) = AuthFile::read(&path)?
            && let Some(found) = file.lookup(name)?
        {
            return Ok(Some(found));
        }
    }
    for helper in outside(helpers) {
        if let Some(found) = helper::get(helper, &server_key(registry_of(name)))? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The helpers of registries.conf that are programs; the one word beside them means the auth file.
fn outside(helpers: &[String]) -> impl Iterator<Item = &String> {
    helpers.iter().filter(|helper| helper.as_str() != "containers-auth.json")
}

/// Keeps credentials in the helper that registries.conf puts first; `false` when that is the auth file.
pub fn store_outside(helpers: &[String], key: &str, credentials: &Credentials) -> Result<bool> {
    let Some(first) = helpers.first().filter(|first| *first != "containers-auth.json") else {
        return Ok(false);
    };
    check_key(key)?;
    helper::check_key(first, key)?;
    helper::store(first, &server_key(key), credentials).map(|()| true)
}

/// Makes the helpers of registries.conf forget a registry, or all that they know; says whether they knew something.
pub fn forget_outside(helpers: &[String], key: Option<&str>) -> Result<bool> {
    let mut known = false;
    for helper in outside(helpers) {
        known |= match key {
            Some(key) => helper::forget(helper, &server_key(key))?,
            None => helper::forget_all(helper)?,
        };
    }
    Ok(known)
}

/// The file that `login` and `logout` change: `--authfile`, `REGISTRY_AUTH_FILE`, `$DOCKER_CONFIG/config.json`, an auth
/// file in the runtime directory when there is one already, else the one that survives a reboot.
pub fn writable(authfile: Option<&Path>) -> Result<PathBuf> {
    if let Some(only) = chosen_file(authfile) {
        return Ok(only);
    }
    if let Some(docker) = roots::env_path("DOCKER_CONFIG") {
        return Ok(docker.join("config.json"));
    }
    match runtime_file() {
        Some(path) if path.exists() => Ok(path),
        _ => Ok(roots::config_home()?.join("containers/auth.json")),
    }
}

/// Keeps credentials for a registry in a file as Docker writes it (`--compat-auth-file`).
pub fn store_as_docker(path: &Path, key: &str, credentials: &Credentials) -> Result<()> {
    check_key(key)?;
    AuthFile::edit(path, |file| {
        file.as_docker(key)?;
        file.put(key, credentials)
    })
}

/// Keeps credentials for a registry (or `registry/namespace`) in a file.
pub fn store(path: &Path, key: &str, credentials: &Credentials) -> Result<()> {
    check_key(key)?;
    AuthFile::edit(path, |file| file.put(key, credentials))
}

fn check_key(key: &str) -> Result<()> {
    if key.is_empty() || key.contains(|c: char| c.is_whitespace() || c.is_control()) {
        bail!("`{}` is not a registry", key.escape_default());
    }
    Ok(())
}

/// Forgets the credentials for a registry; `false` when there were none.
pub fn forget(path: &Path, key: &str) -> Result<bool> {
    if !path.exists() {
        return Ok(false);
    }
    AuthFile::edit(path, |file| file.take(key))
}

/// Forgets all credentials of a file.
pub fn forget_all(path: &Path) -> Result<()> {
    if path.exists() { AuthFile::edit(path, AuthFile::clear) } else { Ok(()) }
}

fn chosen_file(authfile: Option<&Path>) -> Option<PathBuf> {
    authfile.map(Path::to_owned).or_else(|| roots::env_path("REGISTRY_AUTH_FILE"))
}

fn runtime_file() -> Option<PathBuf> {
    let login = || PathBuf::from(format!("/run/containers/{}", rustix::process::getuid().as_raw()));
    let dir = roots::env_path("XDG_RUNTIME_DIR").map_or_else(login, |dir| dir.join("containers"));
    Some(dir.join("auth.json"))
}

fn search_path() -> Vec<PathBuf> {
    let chosen = roots::env_path("DOCKER_CONFIG").map(|dir| dir.join("config.json"));
    let user = roots::config_home().ok().map(|dir| dir.join("containers/auth.json"));
    let docker = roots::home().ok().map(|dir| dir.join(".docker/config.json"));
    [chosen, runtime_file(), user, docker].into_iter().flatten().collect()
}

/// The registry's part of a name.
pub(super) fn registry_of(name: &str) -> &str {
    name.split('/').next().unwrap_or(name)
}

/// How Docker and the credential helpers call a registry.
fn server_key(registry: &str) -> String {
    match registry {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => "https://index.docker.io/v1/".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn creds_are_user_and_password_and_stay_secret() {
        let creds = Credentials::parse("me:a:b").unwrap();
        assert_eq!(creds, Credentials::Password { user: "me".into(), password: "a:b".into() });
        assert!(!format!("{creds:?}").contains("a:b"));
        assert_eq!(creds.basic().unwrap(), "Basic bWU6YTpi");
        for bad in ["", "me", ":x"] {
            assert!(Credentials::parse(bad).is_err());
        }
    }
}
