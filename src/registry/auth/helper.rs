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
    let (success, output) = call(helper, "get", server.as_bytes())?;
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
    // The name comes from a file: it must not leave `$PATH`.
    if helper.is_empty()
        || !helper.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    {
        bail!("`{}` is not the name of a credential helper", printable(helper));
    }
    let program = format!("docker-credential-{helper}");
    let mut child = Command::new(&program)
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
    fn names_that_leave_the_path_are_refused() {
        for bad in ["", "../x", "a/b", "a b", "a\n"] {
            assert!(get(bad, "x.io").is_err(), "{bad:?}");
        }
    }
}
