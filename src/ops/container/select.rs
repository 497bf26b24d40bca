//! Which containers a command means: names and ids, `--all`, `--latest`, `--filter`, `--cidfile`.

use std::path::PathBuf;

use super::filter::Filters;
use crate::base::error::{Error, Explain, Kind, Result, fail, is_not_found};
use crate::base::fs;
use crate::container::store::{Container, Store};

/// What was typed to choose containers.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Names, ids and beginnings of ids.
    pub names: Vec<String>,
    /// `--all`
    pub all: bool,
    /// `--latest`: the one made last.
    pub latest: bool,
    /// `--filter`
    pub filters: Vec<String>,
    /// `--cidfile`: files that hold an id.
    pub cid_files: Vec<PathBuf>,
    /// `--ignore`: what does not exist is left out in silence.
    pub ignore: bool,
}

impl Selection {
    /// One container by name.
    pub fn one(name: &str) -> Selection {
        Selection { names: vec![name.to_owned()], ..Selection::default() }
    }

    /// Refuses a command line that names nothing, or both names and `--all`.
    fn check(&self) -> Result<()> {
        let named = !self.names.is_empty() || !self.cid_files.is_empty();
        if named && (self.all || self.latest) {
            return Err(fail(Kind::Usage, "names and `--all` or `--latest` cannot go together"));
        }
        if !named && !self.all && !self.latest && self.filters.is_empty() {
            return Err(fail(Kind::Usage, "no container was named")
                .hint("give a name or an id, `--latest` or `--all`"));
        }
        Ok(())
    }

    /// The text of one `--cidfile`; a missing file with `--ignore` names nothing.
    fn cid(&self, path: &std::path::Path) -> Result<Option<String>> {
        match fs::read_limited(path, 4096) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).trim().to_owned())),
            Err(error) if self.ignore && is_not_found(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Every name with what it stands for, in the order given; `--all` and filters give all that `fits`.
    ///
    /// # Errors
    /// A wrong command line. A name that means nothing is an error of its own entry.
    pub fn pick(&self, store: &Store, fits: impl Fn(&Container) -> bool) -> Result<Vec<Picked>> {
        self.check()?;
        if self.latest {
            let last = store.list()?.into_iter().last();
            return last
                .map(|c| vec![Ok((c.config.name.clone(), c))])
                .ok_or_else(|| fail(Kind::NotFound, "there is no container"));
        }
        let filters = Filters::parse(&self.filters, store)?;
        let mut names = self.names.clone();
        for path in &self.cid_files {
            names.extend(self.cid(path)?);
        }
        if names.is_empty() && self.cid_files.is_empty() {
            let all = store.list()?.into_iter().filter(|c| filters.accept(c) && fits(c));
            return Ok(all.map(|c| Ok((c.config.id.clone(), c))).collect());
        }
        let picked = names.into_iter().map(|name| match store.resolve(&name) {
            Ok(container) => Ok((name, container)),
            Err(error) => Err((name, error)),
        });
        Ok(picked
            .filter(|one| !self.passes_over(one) && one.as_ref().map_or(true, |(_, c)| filters.accept(c)))
            .collect())
    }

    fn passes_over(&self, picked: &Picked) -> bool {
        self.ignore && picked.as_ref().is_err_and(|(_, error)| is_not_found(error))
    }
}

/// A chosen container with the word that chose it, or that word and why it means nothing.
pub type Picked = std::result::Result<(String, Container), (String, Error)>;

/// What became of one container: the word that chose it, and the result.
#[derive(Debug)]
pub struct Done<T> {
    /// What is printed for it: the word that was typed, or the full id with `--all`.
    pub name: String,
    /// The result.
    pub result: Result<T>,
}

/// Does something with each chosen container, going on through errors.
pub fn each<T>(picked: Vec<Picked>, mut work: impl FnMut(&Container) -> Result<T>) -> Vec<Done<T>> {
    picked
        .into_iter()
        .map(|one| match one {
            Ok((name, container)) => Done { name, result: work(&container) },
            Err((name, error)) => Done { name, result: Err(error) },
        })
        .collect()
}
