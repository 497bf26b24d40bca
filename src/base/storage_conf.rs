//! `storage.conf`: the one key of it that dhow honours, where other stores are that may be read.
//!
//! The first of these files that exists: the one that `CONTAINERS_STORAGE_CONF` names, for users
//! `~/.config/containers/storage.conf`, `/etc/containers/storage.conf`, `/usr/share/containers/storage.conf`.
//! Directories in it that hold no store of dhow (Podman's, for example) are somebody else's and are left alone.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::error::{Context, Explain, Kind, Result};
use super::{fs, roots};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct File {
    storage: Storage,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Storage {
    options: Options,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Options {
    additionalimagestores: Vec<PathBuf>,
}

/// The additional stores that the configuration names, in order.
pub fn additional_stores(rootless: bool) -> Result<Vec<PathBuf>> {
    for path in files(rootless) {
        if let Some(bytes) = fs::read_optional(&path)? {
            let shown = || format!("parse `{}`", path.display());
            let text = std::str::from_utf8(&bytes).with_context(shown).kind(Kind::Usage)?;
            return parse(text).with_context(shown).kind(Kind::Usage);
        }
    }
    Ok(Vec::new())
}

/// What the text of a `storage.conf` names.
pub fn parse(text: &str) -> Result<Vec<PathBuf>> {
    // Most files do not have the key, and are read by every command.
    if !text.contains("additionalimagestores") {
        return Ok(Vec::new());
    }
    let file: File = toml::from_str(text)?;
    Ok(file.storage.options.additionalimagestores)
}

fn files(rootless: bool) -> Vec<PathBuf> {
    if let Some(only) = roots::env_path("CONTAINERS_STORAGE_CONF") {
        return vec![only];
    }
    let own = || roots::config_home().ok().map(|home| home.join("containers/storage.conf"));
    let own = if rootless { own() } else { None };
    let system = ["/etc/containers/storage.conf", "/usr/share/containers/storage.conf"];
    own.into_iter().chain(system.map(|path| Path::new(path).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn additional_stores_are_listed_in_order() {
        let text =
            "[storage]\ndriver = \"overlay\"\n[storage.options]\nadditionalimagestores = [\"/b\", \"/a\"]\n";
        assert_eq!(parse(text).unwrap(), [PathBuf::from("/b"), PathBuf::from("/a")]);
        assert!(parse("[storage]\n# additionalimagestores = [\n").unwrap().is_empty());
        assert!(parse("[storage.options]\nadditionalimagestores = 3").is_err());
        assert!(parse("").unwrap().is_empty());
    }
}
