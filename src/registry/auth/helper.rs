//! Credential helpers: `docker-credential-NAME get|store|erase`, secrets over pipes only.

use std::io::Write;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use super::Credentials;
use crate::base::error::{Context, Explain, Result, bail};
use crate::base::text::printable;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    #[serde(default, rename = "ServerURL")]
    server: String,
    username: String,
    secret: String,
}

/// Asks a helper; a helper that knows nothing is no error.
pub(super) fn get(helper: &str, server: &str) -> Result<Option<Credentials>> {
    read_answer(helper, call(helper, "get", server.as_bytes())?)
}

fn read_answer(helper: &str, (success, output): (bool, Vec<u8>)) -> Result<Option<Credentials>> {
    if !success {
        let text = String::from_utf8_lossy(&output);
        // What docker-credential-helpers print when there is nothing.
        if text.contains("credentials not found") || text.contains("not found in native keychain") {
            return Ok(None);
        }
        bail!("credential helper `{helper}`: {}", printable(text.trim()));
    }
    let entry: Entry = serde_json::from_slice(&output)
        .with_context(|| format!("read the answer of credential helper `{helper}`"))?;
    Ok(match (entry.username.as_str(), entry.secret) {
        ("", secret) if secret.is_empty() => None,
        ("<token>", secret) => Some(Credentials::IdentityToken(secret)),
        (user, password) => Some(Credentials::Password { user: user.to_owned(), password }),
    })
}

/// Gives a helper credentials to keep.
pub(super) fn store(helper: &str, server: &str, credentials: &Credentials) -> Result<()> {
    let (user, secret) = match credentials {
        Credentials::Password { user, password } => (user.as_str(), password),
        Credentials::IdentityToken(token) => ("<token>", token),
    };
    let entry = Entry { server: server.to_owned(), username: user.to_owned(), secret: secret.clone() };
    let bytes = serde_json::to_vec(&entry).context("encode credentials")?;
    change(helper, "store", &bytes)
}

/// Makes a helper forget.
pub(super) fn erase(helper: &str, server: &str) -> Result<()> {
    change(helper, "erase", server.as_bytes())
}

/// Makes a helper forget a server; says whether it knew it.
pub(super) fn forget(helper: &str, server: &str) -> Result<bool> {
    let known = get(helper, server)?.is_some();
    if known {
        erase(helper, server)?;
    }
    Ok(known)
}

/// Makes a helper forget all servers; says whether it knew one.
pub(super) fn forget_all(helper: &str) -> Result<bool> {
    let (success, output) = call(helper, "list", b"")?;
    if !success {
        bail!("credential helper `{helper}` (list): {}", printable(String::from_utf8_lossy(&output).trim()));
    }
    let known: std::collections::BTreeMap<String, String> = serde_json::from_slice(&output)
        .with_context(|| format!("read the list of credential helper `{helper}`"))?;
    known.keys().try_for_each(|server| erase(helper, server))?;
    Ok(!known.is_empty())
}

/// Helpers keep credentials by host: they would not find what is kept for a part of it.
pub(super) fn check_key(helper: &str, key: &str) -> Result<()> {
    if key.contains('/') {
        bail!("credential helper `{helper}` keeps logins for registries, not for a part as `{key}`");
    }
    Ok(())
}

fn change(helper: &str, action: &str, input: &[u8]) -> Result<()> {
    let (success, output) = call(helper, action, input)?;
    if !success {
        bail!(
            "credential helper `{helper}` ({action}): {}",
            printable(String::from_utf8_lossy(&output).trim())
        );
    }
    Ok(())
}

/// Runs a helper; returns its success and what it printed.
fn call(helper: &str, action: &str, input: &[u8]) -> Result<(bool, Vec<u8>)> {
    run(&program(helper)?, action, input)
}

fn program(helper: &str) -> Result<String> {
    // The name comes from a file: it must not leave `$PATH`.
    if helper.is_empty()
        || !helper.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    {
        bail!("`{}` is not the name of a credential helper", printable(helper));
    }
    Ok(format!("docker-credential-{helper}"))
}

fn run(program: &str, action: &str, input: &[u8]) -> Result<(bool, Vec<u8>)> {
    let mut child = Command::new(program)
        .arg(action)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("run credential helper `{program}`"))
        .hint(format!("install `{program}`, or take it out of the auth file"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that does not read its input says why on its own.
        let _ = stdin.write_all(input);
    }
    let output = child.wait_with_output().with_context(|| format!("wait for `{program}`"))?;
    Ok((output.status.success(), output.stdout))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_helpers_are_read() {
        let dir = std::env::temp_dir().join(format!("dhow-helper-{}", crate::base::id::word()));
        crate::base::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("docker-credential-x");
        let script = "#!/bin/sh\nread host\n[ \"$host\" = known.io ] || { echo credentials not found in native keychain; exit 1; }\n\
                      echo \"{\\\"Username\\\":\\\"$1\\\",\\\"Secret\\\":\\\"s\\\"}\"\n";
        crate::base::fs::replace(&path, script.as_bytes(), 0o755, crate::base::fs::Durability::Volatile)
            .unwrap();
        let ask = |host: &str| read_answer("x", run(path.to_str().unwrap(), "get", host.as_bytes()).unwrap());
        assert_eq!(ask("known.io\n").unwrap(), Some(Credentials::parse("get:s").unwrap()));
        assert_eq!(ask("other.io\n").unwrap(), None);
        let token = br#"{"ServerURL":"x","Username":"<token>","Secret":"t"}"#.to_vec();
        assert_eq!(read_answer("x", (true, token)).unwrap(), Some(Credentials::IdentityToken("t".into())));
        let error = read_answer("x", (true, b"secret nonsense".to_vec())).unwrap_err();
        assert!(!crate::base::error::render(&error).contains("secret"));
        crate::base::fs::remove_file(&path).unwrap();
        std::fs::remove_dir(&dir).unwrap();
    }

    #[test]
    fn names_that_leave_the_path_are_refused() {
        for bad in ["", "../x", "a/b", "a b", "a\n"] {
            assert!(get(bad, "x.io").is_err(), "{bad:?}");
        }
    }
}
