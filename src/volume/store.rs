//! The volumes on disk.

use std::path::{Path, PathBuf};

use super::Volume;
use crate::base::error::{Context, Error, Explain, Kind, Result, fail, is_not_found};
use crate::base::fs::{self, Durability};
use crate::base::id;
use crate::base::lock::Lock;
use crate::layer::{tree, usage};

/// A volume whose record cannot be read: its name, and why.
pub type Damaged = (String, Error);

/// See the module.
#[derive(Debug, Clone)]
pub struct Store {
    dir: PathBuf,
}

impl Store {
    /// Opens the store; makes nothing.
    pub fn open(root: &Path) -> Store {
        Store { dir: root.join("volumes") }
    }

    fn dir_of(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// What containers see of a volume.
    pub fn data_dir(&self, name: &str) -> PathBuf {
        self.dir_of(name).join("_data")
    }

    /// Whether there is such a volume, readable or not.
    pub fn exists(&self, name: &str) -> bool {
        check_name(name).is_ok() && self.dir_of(name).is_dir()
    }

    /// Makes a volume, by one rename.
    ///
    /// # Errors
    /// A name that is no name, or one that is taken.
    pub fn create(&self, volume: &Volume) -> Result<()> {
        check_name(&volume.name)?;
        fs::create_dir_all(&self.dir)?;
        let staged = self.dir.join(format!(".new-{}", id::word()));
        let made = self.create_staged(&staged, volume);
        if made.is_err() {
            let _ = tree::remove(&staged); // the first error is the one to tell
        }
        made
    }

    fn create_staged(&self, staged: &Path, volume: &Volume) -> Result<()> {
        fs::create_dir_all(staged)?;
        fs::create_dir_all_with(&staged.join("_data"), 0o755)?;
        fs::replace_json(&staged.join("volume.json"), volume, Durability::Durable)?;
        let place = self.dir_of(&volume.name);
        // A directory that is not empty cannot be replaced by rename: the second maker fails here.
        match fs::rename(staged, &place) {
            Err(_) if place.exists() => {
                Err(fail(Kind::Failed, format!("volume `{}` exists already", volume.name)))
            }
            other => other,
        }
    }

    /// The volume of this name.
    pub fn get(&self, name: &str) -> Result<Volume> {
        if !self.exists(name) {
            return Err(fail(Kind::NotFound, format!("no such volume `{name}`")));
        }
        fs::read_json(&self.dir_of(name).join("volume.json"))
            .with_context(|| format!("look at volume `{name}`"))
    }

    /// The volume that a user means: its name, or the unambiguous beginning of it (anonymous ones have ids).
    pub fn resolve(&self, text: &str) -> Result<Volume> {
        if self.exists(text) {
            return self.get(text);
        }
        let names = self.names()?;
        let mut found =
            names.iter().filter(|name| id::is_prefix(text) && name.len() == 64 && name.starts_with(text));
        match (found.next(), found.next()) {
            (Some(name), None) => self.get(name),
            (Some(_), Some(_)) => {
                Err(fail(Kind::Usage, format!("more than one volume's name begins with `{text}`")))
            }
            _ => self.get(text),
        }
    }

    /// All names, sorted.
    pub fn names(&self) -> Result<Vec<String>> {
        let entries = fs::read_dir(&self.dir)?.into_iter();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// All volumes by name, and those that are damaged.
    pub fn list(&self) -> Result<(Vec<Volume>, Vec<Damaged>)> {
        let (mut volumes, mut damaged) = (Vec::new(), Vec::new());
        for name in self.names()? {
            match self.get(&name) {
                Ok(volume) => volumes.push(volume),
                Err(error) if is_not_found(&error) => {} // removed since
                Err(error) => damaged.push((name, error)),
            }
        }
        Ok((volumes, damaged))
    }

    /// Replaces the record.
    pub fn save(&self, volume: &Volume) -> Result<()> {
        fs::replace_json(&self.dir_of(&volume.name).join("volume.json"), volume, Durability::Volatile)
    }

    /// Waits for the volume's lock.
    pub fn lock(&self, name: &str) -> Result<Lock> {
        Lock::exclusive(&self.dir_of(name).join("lock"))
    }

    /// Removes a volume and everything in it; the bytes that came back.
    pub fn remove(&self, name: &str) -> Result<u64> {
        if !self.exists(name) {
            return Err(fail(Kind::NotFound, format!("no such volume `{name}`")));
        }
        let held = self.lock(name)?;
        let freed = usage::size(&self.data_dir(name)).unwrap_or(0);
        let doomed = self.dir.join(format!(".gone-{}", id::word()));
        fs::rename(&self.dir_of(name), &doomed)?;
        drop(held);
        tree::remove(&doomed).with_context(|| format!("remove the files of volume `{name}`"))?;
        Ok(freed)
    }

    /// Deletes what killed commands left half made or half removed.
    pub fn sweep(&self) -> Result<()> {
        for entry in fs::read_dir(&self.dir)? {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let old = || {
                entry
                    .metadata()
                    .and_then(|m| m.modified())
                    .is_ok_and(|at| at.elapsed().is_ok_and(|e| e.as_secs() > 60))
            };
            if name.starts_with(".gone-") || name.starts_with(".new-") && old() {
                tree::remove(&entry.path())?;
            }
        }
        Ok(())
    }
}

/// Docker's rule for names: letters, digits, `_`, `.` and `-`, the first one a letter or a digit.
pub(super) fn check_name(name: &str) -> Result<()> {
    let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let fits = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    if begins && fits && name.len() <= 250 {
        return Ok(());
    }
    Err(fail(Kind::Usage, format!("`{name}` is not a volume name"))
        .hint("a name has letters, digits, `_`, `.` and `-`, and begins with a letter or a digit"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (PathBuf, Store) {
        let dir = std::env::temp_dir().join(format!("dhow-volumes-{}", id::word()));
        (dir.clone(), Store::open(&dir))
    }

    #[test]
    fn a_volume_is_made_once_found_and_removed() {
        let (dir, store) = store();
        store.create(&Volume::new("data")).unwrap();
        assert!(store.create(&Volume::new("data")).is_err());
        assert_eq!(store.get("data").unwrap().name, "data");
        assert_eq!(store.names().unwrap(), ["data"]);
        store.remove("data").unwrap();
        assert!(!store.exists("data") && store.remove("data").is_err());
        assert_eq!(fs::read_dir(&dir.join("volumes")).unwrap().len(), 0, "nothing is left");
        tree::remove(&dir).unwrap();
    }

    #[test]
    fn names_cannot_leave_the_store() {
        for bad in ["", ".", "..", "../x", "a/b", "-x", ".hidden", "a\nb", &"x".repeat(251)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_damaged_record_is_listed_apart() {
        let (dir, store) = store();
        store.create(&Volume::new("good")).unwrap();
        store.create(&Volume::new("bad")).unwrap();
        fs::replace(&store.dir_of("bad").join("volume.json"), b"{", 0o600, Durability::Volatile).unwrap();
        let (good, bad) = store.list().unwrap();
        assert_eq!((good.len(), bad.len()), (1, 1));
        store.remove("bad").unwrap();
        tree::remove(&dir).unwrap();
    }
}
