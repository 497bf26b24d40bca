//! `auth.json` and Docker's `config.json`: one format, read leniently, written so that foreign keys survive.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde_json::{Map, Value, json};

use super::{Credentials, helper, registry_of, server_key};
use crate::base::error::{Context, Result, bail, ensure};
use crate::base::fs::{self, Durability};

const LIMIT: u64 = 4 << 20;

/// One file of credentials, parsed.
#[derive(Clone, Default)]
pub struct AuthFile {
    path: PathBuf,
    root: Map<String, Value>,
    /// It is Docker's: there Docker Hub goes by its old URL, and only whole registries have an entry.
    docker: bool,
}

impl AuthFile {
    /// Reads a file; `None` when there is none.
    pub fn read(path: &Path) -> Result<Option<AuthFile>> {
        let bytes = match fs::read_limited(path, LIMIT) {
            Ok(bytes) => bytes,
            Err(error) if crate::base::error::is_not_found(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        AuthFile::parse(path, &bytes).map(Some)
    }

    /// Reads the text of a file; an empty file knows nothing.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<AuthFile> {
        let path = path.to_owned();
        if bytes.trim_ascii().is_empty() {
            return Ok(AuthFile { docker: is_docker(&path), path, ..AuthFile::default() });
        }
        // serde_json's message tells line and column, never the text, which may hold a secret.
        let root =
            serde_json::from_slice(bytes).with_context(|| format!("parse auth file `{}`", path.display()))?;
        Ok(AuthFile { docker: is_docker(&path), path, root })
    }

    /// Finds the credentials for `registry/repository`.
    pub fn lookup(&self, name: &str) -> Result<Option<Credentials>> {
        let registry = registry_of(name);
        if let Some(helper) = self.helper_of(registry) {
            return helper::get(&helper, &server_key(registry));
        }
        for key in spellings(name) {
            if let Some(entry) = self.entry(&key)
                && let Some(found) = self.decode(&key, entry)?
            {
                return Ok(Some(found));
            }
        }
        match self.root.get("credsStore").and_then(Value::as_str).filter(|helper| !helper.is_empty()) {
            Some(helper) => helper::get(helper, &server_key(registry)),
            None => Ok(None),
        }
    }

    fn helper_of(&self, registry: &str) -> Option<String> {
        let helpers = self.root.get("credHelpers")?.as_object()?;
        let helper = [registry, &server_key(registry)].into_iter().find_map(|key| helpers.get(key))?;
        helper.as_str().filter(|helper| !helper.is_empty()).map(str::to_owned)
    }

    fn auths(&self) -> Option<&Map<String, Value>> {
        self.root.get("auths")?.as_object()
    }

    /// The entry under a key, or under one that old Dockers wrote as a URL.
    fn entry(&self, key: &str) -> Option<&Value> {
        let auths = self.auths()?;
        auths
            .get(key)
            .or_else(|| auths.iter().find(|(written, _)| is_legacy_of(written, key)).map(|(_, entry)| entry))
    }

    fn decode(&self, key: &str, entry: &Value) -> Result<Option<Credentials>> {
        let text = |field: &str| entry.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
        if let Some(token) = text("identitytoken") {
            return Ok(Some(Credentials::IdentityToken(token.to_owned())));
        }
        let pair = match (text("auth"), text("username"), text("password")) {
            (Some(auth), _, _) => decode_pair(auth),
            (None, Some(user), Some(password)) => Some((user.to_owned(), password.to_owned())),
            _ => return Ok(None),
        };
        match pair {
            Some((user, password)) => Ok(Some(Credentials::Password { user, password })),
            None => bail!(
                "entry `{key}` of auth file `{}` is not valid base64 of `user:password`",
                self.path.display()
            ),
        }
    }

    /// Reads, changes and replaces a file (mode 0600) under a lock on its directory.
    pub fn edit<T>(path: &Path, change: impl FnOnce(&mut AuthFile) -> Result<T>) -> Result<T> {
        // A link (dotfiles in a repository) stays a link.
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(dir)?;
        let lock = fs::open(dir)?;
        lock.lock().with_context(|| format!("lock `{}`", dir.display()))?;
        let mut file = AuthFile::read(&path)?.map_or_else(|| AuthFile::parse(&path, b""), Ok)?;
        let answer = change(&mut file)?;
        let mut text =
            serde_json::to_vec_pretty(&file.root).with_context(|| format!("encode `{}`", path.display()))?;
        text.push(b'\n');
        fs::replace(&path, &text, 0o600, Durability::Durable)?;
        Ok(answer)
    }

    /// Keeps credentials, in the helper that the file names for the registry if it does.
    pub(super) fn put(&mut self, key: &str, credentials: &Credentials) -> Result<()> {
        let store = self.root.get("credsStore").and_then(Value::as_str).filter(|helper| !helper.is_empty());
        let helper = self.helper_of(key).or_else(|| store.map(str::to_owned));
        let entry = match (&helper, credentials) {
            (Some(helper), _) => {
                helper::check_key(helper, key)?;
                helper::store(helper, &server_key(key), credentials)?;
                json!({})
            }
            (None, Credentials::Password { user, password }) => {
                ensure!(!user.contains(':'), "a user name cannot contain `:`");
                json!({ "auth": STANDARD.encode(format!("{user}:{password}")) })
            }
            (None, Credentials::IdentityToken(token)) => json!({ "identitytoken": token }),
        };
        let name = self.key_for_writing(key);
        self.auths_mut()?.insert(name, entry);
        Ok(())
    }

    /// Removes what is known for a key.
    pub(super) fn take(&mut self, key: &str) -> Result<bool> {
        let store = self.root.get("credsStore").and_then(Value::as_str).filter(|helper| !helper.is_empty());
        let helper = self.helper_of(key).or_else(|| store.map(str::to_owned));
        let erased = match helper.filter(|_| !key.contains('/')) {
            Some(helper) => helper::forget(&helper, &server_key(key))?,
            None => false,
        };
        let auths = self.auths_mut()?;
        let before = auths.len();
        let spelled = spellings(key).next().unwrap_or_else(|| key.to_owned());
        auths.retain(|written, _| written != key && *written != spelled && !is_legacy_of(written, key));
        Ok(erased || auths.len() < before)
    }

    /// Removes all entries, and what the file's helpers keep.
    pub(super) fn clear(&mut self) -> Result<()> {
        if let Some(store) =
            self.root.get("credsStore").and_then(Value::as_str).filter(|store| !store.is_empty())
        {
            helper::forget_all(store)?;
        }
        for (server, helper) in self.root.get("credHelpers").and_then(Value::as_object).into_iter().flatten()
        {
            if let Some(helper) = helper.as_str().filter(|helper| !helper.is_empty()) {
                helper::forget(helper, server)?;
            }
        }
        self.auths_mut()?.clear();
        Ok(())
    }

    fn key_for_writing(&self, key: &str) -> String {
        if self.docker { server_key(key) } else { key.to_owned() }
    }

    /// Says that the file is Docker's, whatever it is called.
    pub(super) fn as_docker(&mut self, key: &str) -> Result<()> {
        ensure!(
            !key.contains('/'),
            "Docker's file of logins has no place for a part of a registry as `{key}`"
        );
        self.docker = true;
        Ok(())
    }

    fn auths_mut(&mut self) -> Result<&mut Map<String, Value>> {
        let path = self.path.display().to_string();
        let auths = self.root.entry("auths").or_insert_with(|| json!({}));
        auths.as_object_mut().with_context(|| format!("`auths` of `{path}` is not an object"))
    }
}

/// By its name, Docker's file.
fn is_docker(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "config.json")
}

/// `quay.io/a/b`, `quay.io/a`, `quay.io`; Docker Hub has more than one name.
fn spellings(name: &str) -> impl Iterator<Item = String> {
    let ends = name.rmatch_indices('/').map(|(at, _)| at);
    let paths = std::iter::once(name.len()).chain(ends).map(|end| name[..end].to_owned()).collect::<Vec<_>>();
    paths.into_iter().flat_map(|key| {
        let hub = (key == "docker.io").then_some([
            "https://index.docker.io/v1/",
            "index.docker.io",
            "registry-1.docker.io",
        ]);
        std::iter::once(key).chain(hub.into_iter().flatten().map(str::to_owned))
    })
}

/// Whether an entry written as `https://host/…` is for this host.
fn is_legacy_of(written: &str, key: &str) -> bool {
    let Some(rest) = written.strip_prefix("https://").or_else(|| written.strip_prefix("http://")) else {
        return false;
    };
    rest.split('/').next() == Some(key) && !key.contains('/')
}

fn decode_pair(auth: &str) -> Option<(String, String)> {
    let trimmed = auth.trim();
    let bytes = STANDARD.decode(trimmed).or_else(|_| STANDARD_NO_PAD.decode(trimmed)).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    // Some old writers padded with NULs.
    Some((user.to_owned(), password.trim_end_matches('\0').to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id;
    use std::os::unix::fs::PermissionsExt;

    fn user_of(text: &str, name: &str) -> Option<String> {
        let file = AuthFile::parse(Path::new("auth.json"), text.as_bytes()).unwrap();
        file.lookup(name).unwrap().map(|found| found.user().to_owned())
    }

    fn auth(user: &str) -> String {
        format!(r#"{{"auth":"{}"}}"#, STANDARD.encode(format!("{user}:pw")))
    }

    #[test]
    fn the_most_specific_key_wins() {
        let text = format!(
            r#"{{"auths":{{"quay.io":{},"quay.io/a":{},"quay.io/a/b":{},"https://index.docker.io/v1/":{},
            "https://old.io/v1/":{},"empty.io":{{}},"tok.io":{{"identitytoken":"t"}}}}}}"#,
            auth("host"),
            auth("space"),
            auth("repo"),
            auth("hub"),
            auth("old")
        );
        for (name, user) in [
            ("quay.io/a/b", Some("repo")),
            ("quay.io/a/c", Some("space")),
            ("quay.io/a/b/c", Some("repo")),
            ("quay.io/x", Some("host")),
            ("docker.io/library/alpine", Some("hub")),
            ("old.io/x", Some("old")),
            ("empty.io/x", None),
            ("tok.io/x", Some("<token>")),
            ("evil.io/quay.io", None),
        ] {
            assert_eq!(user_of(&text, name).as_deref(), user, "{name}");
        }
        assert_eq!(user_of("", "x.io/y"), None);
        assert_eq!(user_of("{}", "x.io/y"), None);
    }

    #[test]
    fn broken_files_tell_their_path_and_no_secret() {
        let broken =
            AuthFile::parse(Path::new("/p/auth.json"), b"{\"auths\":{\"a.io\":{\"auth\":\"c2VjcmV0\"}}}")
                .unwrap();
        let error = broken.lookup("a.io/x").unwrap_err().to_string();
        assert!(error.contains("/p/auth.json") && !error.contains("secret") && !error.contains("c2VjcmV0"));
        let syntax = AuthFile::parse(Path::new("/p/auth.json"), b"{\"auths\": secret").err().unwrap();
        assert!(!crate::base::error::render(&syntax).contains("secret"));
    }

    #[test]
    fn edits_keep_foreign_keys_and_are_private() {
        let dir = std::env::temp_dir().join(format!("dhow-auth-{}", id::word()));
        let path = dir.join("sub/auth.json");
        let creds = Credentials::parse("me:secret").unwrap();
        super::super::store(&path, "quay.io", &creds).unwrap();
        let text =
            fs::read_to_string(&path).unwrap().replace("{\n  \"auths\"", "{\n  \"other\": 1,\n  \"auths\"");
        fs::replace(&path, text.as_bytes(), 0o644, Durability::Volatile).unwrap();
        super::super::store(&path, "docker.io", &creds).unwrap();
        let file = AuthFile::read(&path).unwrap().unwrap();
        assert_eq!(file.root["other"], 1);
        assert_eq!(file.lookup("docker.io/a/b").unwrap(), Some(creds.clone()));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(super::super::forget(&path, "quay.io").unwrap());
        assert!(!super::super::forget(&path, "quay.io").unwrap());
        super::super::forget_all(&path).unwrap();
        assert_eq!(AuthFile::read(&path).unwrap().unwrap().lookup("docker.io/x").unwrap(), None);
        fs::remove_file(&path).unwrap();
    }
}
