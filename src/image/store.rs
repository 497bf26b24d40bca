//! The image store: finding, listing, naming and removing images. See the module's drawing.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::commit::give_names;
use super::record::{Image, Record};
use super::{Config, Names, VERSION};
use crate::base::digest::{Algorithm, Digest};
use crate::base::error::{Context, Error, Kind, Result, bail, fail};
use crate::base::fs;
use crate::base::lock::Lock;
use crate::layer::Staging;
use crate::registry::Reference;

/// Images on disk.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
    /// Roots of other stores, which are read when this one does not have an image.
    additional: Vec<PathBuf>,
}

/// An image whose record cannot be read.
#[derive(Debug)]
pub struct Damaged {
    /// Its id, by the directory's name.
    pub id: Digest,
    /// What is wrong.
    pub error: Error,
}

/// What is in the store.
#[derive(Debug, Default)]
pub struct Listing {
    /// Newest first.
    pub images: Vec<Image>,
    /// Unreadable ones.
    pub damaged: Vec<Damaged>,
}

impl Store {
    /// The store below a root. Makes nothing.
    pub fn open(root: &Path) -> Store {
        Store { root: root.to_owned(), additional: Vec::new() }
    }

    /// The same with other stores, whose images are seen and never changed.
    pub fn with_additional(self, additional: &[PathBuf]) -> Store {
        Store { additional: additional.to_owned(), ..self }
    }

    /// The root of all stores.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Keeps layers from being removed: held while an image is committed or a container on it is made.
    pub fn lock_shared(&self) -> Result<Lock> {
        fs::create_dir_all(&self.root)?;
        Lock::shared(&self.root.join("lock"))
    }

    /// Keeps everybody from beginning to use a layer: held while layers are removed.
    pub fn lock_exclusive(&self) -> Result<Lock> {
        fs::create_dir_all(&self.root)?;
        Lock::exclusive(&self.root.join("lock"))
    }

    /// Everything in the store, newest first, damaged images apart.
    pub fn list(&self) -> Result<Listing> {
        let names = self.names()?;
        let mut by_id: HashMap<&Digest, Vec<String>> = HashMap::new();
        for (name, id) in &names.names {
            by_id.entry(id).or_default().push(name.clone());
        }
        let mut listing = Listing::default();
        for id in self.ids()? {
            let known = names.digests.get(&id).cloned().unwrap_or_default();
            match self.read_record(&id) {
                Ok(record) => {
                    let own = by_id.remove(&id).unwrap_or_default();
                    listing.images.push(self.image(id, record, own, known));
                }
                Err(error) if crate::base::error::is_not_found(&error) && !self.dir(&id).exists() => {}
                Err(error) => listing.damaged.push(Damaged { id, error }),
            }
        }
        listing.images.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.id.cmp(&b.id)));
        Ok(listing)
    }

    /// One image by its full id.
    pub fn get(&self, id: &Digest) -> Result<Image> {
        let names = self.names()?;
        self.get_with(id, &names)
    }

    pub(super) fn get_with(&self, id: &Digest, names: &Names) -> Result<Image> {
        let record = match self.read_record(id) {
            Err(_) if !self.dir(id).exists() => {
                return Err(fail(Kind::NotFound, format!("`{id}`: image not known")));
            }
            other => other.with_context(|| format!("image `{id}` is damaged"))?,
        };
        let known = names.digests.get(id).cloned().unwrap_or_default();
        Ok(self.image(id.clone(), record, names.of(id), known))
    }

    fn image(&self, id: Digest, record: Record, names: Vec<String>, known: Vec<Digest>) -> Image {
        let dir = self.dir(&id);
        let read_only = !dir.starts_with(&self.root);
        let mut image = Image::assemble(id, dir, record, names, known);
        image.read_only = read_only;
        image
    }

    /// Whether an image is there, readable or not.
    pub fn contains(&self, id: &Digest) -> bool {
        self.dir(id).exists()
    }

    /// The names in force. A `names.json` that cannot be parsed names nothing; the next change sets it aside.
    pub fn names(&self) -> Result<Names> {
        let read = |root: &Path| match Names::read(root) {
            Err(error) if error.is::<serde_json::Error>() => Ok(Names::default()),
            other => other,
        };
        let mut names = read(&self.root)?;
        for other in &self.additional {
            names.add(read(other)?);
        }
        Ok(names)
    }

    /// Fails when the list of names cannot be read, which [`Store::names`] passes over.
    pub fn check_names(&self) -> Result<()> {
        Names::read(&self.root).map(drop)
    }

    /// Sets a list of names aside that cannot be parsed; one that can stays as it is.
    pub fn renew_names(&self) -> Result<()> {
        Names::update(&self.root, |_| Ok(()))
    }

    /// Ids of all image directories, readable or not.
    pub(super) fn ids(&self) -> Result<Vec<Digest>> {
        let mut ids = Vec::new();
        for root in std::iter::once(&self.root).chain(&self.additional) {
            let entries = fs::read_dir(&root.join("images"))?;
            ids.extend(entries.iter().filter_map(|entry| entry.file_name().to_str().and_then(id_of_dir)));
        }
        if !self.additional.is_empty() {
            ids.sort();
            ids.dedup();
        }
        Ok(ids)
    }

    /// Lets references mean an image; a name that meant another one moves.
    pub fn tag(&self, id: &Digest, names: &[Reference]) -> Result<Vec<(String, Digest)>> {
        Names::update(&self.root, |all| {
            if !self.contains(id) {
                return Err(fail(Kind::NotFound, format!("`{id}`: image not known")));
            }
            Ok(give_names(all, id, names))
        })
    }

    /// Takes references away from an image: those given, or all. Gives back what was taken.
    pub fn untag(&self, id: &Digest, names: Option<&[String]>) -> Result<Vec<String>> {
        Names::update(&self.root, |all| {
            let gone: Vec<String> = match names {
                None => all.of(id),
                Some(names) => names.to_vec(),
            };
            for name in &gone {
                if all.names.get(name) != Some(id) {
                    return Err(fail(Kind::NotFound, format!("`{name}` is not a name of image `{id}`")));
                }
                all.names.remove(name);
            }
            Ok(gone)
        })
    }

    /// Removes an image with all its names; gives them back. Its layers are the caller's, who holds the store
    /// lock exclusively.
    pub fn remove(&self, id: &Digest) -> Result<Vec<String>> {
        let dir = self.dir(id);
        if !dir.starts_with(&self.root) {
            return Err(fail(
                Kind::Failed,
                format!("image `{id}` lies in a read-only store: `{}`", dir.display()),
            ));
        }
        let forget = || Names::update(&self.root, |names| Ok(names.forget(id)));
        let gone = match forget() {
            Err(error) if is_disk_full(&error) => None,
            gone => Some(gone?),
        };
        self.take_away(id)?;
        // On a full disk the image's own files make the room for the new list of names. A crash in between leaves a
        // name of an unknown image, which is as good as none.
        gone.map_or_else(forget, Ok)
    }

    /// Makes a directory invisible by one rename, then deletes it.
    pub(super) fn take_away(&self, id: &Digest) -> Result<()> {
        fs::create_dir_all(&self.root.join("staging"))?;
        match Staging::take_away(&self.root, &self.own_dir(id)) {
            Ok(gone) => gone.discard(),
            Err(error) if crate::base::error::is_not_found(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Layers of all readable images but these.
    pub fn layers_in_use(&self, except: &[Digest]) -> Result<std::collections::HashSet<Digest>> {
        let listing = self.list()?;
        // A damaged record may hide a use: its configuration still says which layers it had.
        let hidden = listing.damaged.iter().filter(|image| !except.contains(&image.id)).filter_map(|image| {
            let bytes = fs::read(&self.dir(&image.id).join("config.json")).ok()?;
            Some(Config::parse(&bytes).ok()?.rootfs.diff_ids)
        });
        let seen = listing.images.iter().filter(|image| !except.contains(&image.id));
        Ok(seen.map(|image| image.layers.clone()).chain(hidden).flatten().collect())
    }

    pub(super) fn read_record(&self, id: &Digest) -> Result<Record> {
        self.read_record_in(&self.dir(id), id)
    }

    pub(super) fn read_record_in(&self, dir: &Path, id: &Digest) -> Result<Record> {
        let record: Record = fs::read_json(&dir.join("image.json"))?;
        if record.version > VERSION {
            bail!("image `{id}` was written by a newer dhow (version {})", record.version);
        }
        Ok(record)
    }

    pub(super) fn images(&self) -> PathBuf {
        self.root.join("images")
    }

    /// The directory of an image's records: here, or in the first additional store that has them.
    pub fn dir(&self, id: &Digest) -> PathBuf {
        let own = self.own_dir(id);
        if self.additional.is_empty() || own.exists() {
            return own;
        }
        let others = self.additional.iter().map(|root| root.join("images").join(id.hex()));
        others.into_iter().find(|dir| dir.exists()).unwrap_or(own)
    }

    pub(super) fn own_dir(&self, id: &Digest) -> PathBuf {
        self.images().join(id.hex())
    }

    /// A fresh directory in staging.
    pub(super) fn staging(&self) -> Result<Staging> {
        fs::create_dir_all(&self.root.join("staging"))?;
        Staging::new(&self.root)
    }
}

/// Whether an error is that of a full disk or an exhausted quota.
fn is_disk_full(error: &Error) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    let io = |cause: &(dyn std::error::Error + 'static)| cause.downcast_ref().map(std::io::Error::kind);
    error.chain().any(|cause| matches!(io(cause), Some(StorageFull | QuotaExceeded)))
}

fn id_of_dir(name: &str) -> Option<Digest> {
    let algorithm = if name.len() == 128 { Algorithm::Sha512 } else { Algorithm::Sha256 };
    let prefix = if algorithm == Algorithm::Sha512 { "sha512" } else { "sha256" };
    format!("{prefix}:{name}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::kind_of;
    use crate::base::fs::Durability;
    use crate::base::id;
    use crate::image::NewImage;

    /// A store in a directory that goes away with it.
    struct Sandbox(PathBuf);

    impl Sandbox {
        fn new() -> Sandbox {
            let dir = std::env::temp_dir().join(format!("dhow-image-{}", id::word()));
            fs::create_dir_all(&dir).unwrap();
            Sandbox(dir)
        }
        fn store(&self) -> Store {
            Store::open(&self.0)
        }
    }

    impl Drop for Sandbox {
        #[expect(clippy::disallowed_methods, reason = "a small tree of the test's own")]
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn new(n: usize, names: &[&str]) -> NewImage {
        let config = format!(
            r#"{{"created":"2026-01-01T00:00:00Z","author":"{n}","os":"linux","architecture":"amd64",
            "rootfs":{{"type":"layers","diff_ids":["{}"]}}}}"#,
            Digest::of(&n.to_le_bytes())
        );
        NewImage {
            config: config.into_bytes(),
            manifest: format!("{{\"n\":{n}}}").into_bytes(),
            manifest_type: "m".into(),
            size: 7,
            names: names.iter().map(|name| Reference::parse(name).unwrap()).collect(),
            digests: Vec::new(),
        }
    }

    #[test]
    fn committed_images_are_found_by_every_name() {
        let sandbox = Sandbox::new();
        let store = sandbox.store();
        let committed =
            store.commit(&new(1, &["alpine:3", "quay.io/a/tool:latest", "localhost/own:latest"])).unwrap();
        assert!(committed.new && committed.moved.is_empty());
        let image = store.get(&committed.id).unwrap();
        let hex = image.id.hex().to_owned();
        let texts = [
            "alpine:3".to_owned(),
            "docker.io/library/alpine:3".into(),
            "docker.io/alpine:3".into(),
            "tool".into(),
            "a/tool".into(),
            "own".into(),
            "localhost/own".into(),
            format!("alpine@{}", image.manifest_digest),
            image.manifest_digest.to_string(),
            hex[..4].into(),
            format!("sha256:{}", &hex[..9]),
            hex.clone(),
            image.id.to_string(),
        ];
        for text in texts {
            assert_eq!(store.resolve(&text).unwrap().id, image.id, "{text}");
        }
        for text in ["alpine", "alpine:4", "x/alpine:3", "ool", "zz", "quay.io/tool", "", "sha256:"] {
            assert_eq!(kind_of(&store.resolve(text).unwrap_err()), Kind::NotFound, "{text}");
        }
        assert_eq!(image.digests.len(), 3);
        assert_eq!(image.config().unwrap().author, "1");
    }

    #[test]
    fn several_candidates_are_an_error_that_lists_them() {
        let sandbox = Sandbox::new();
        let store = sandbox.store();
        store.commit(&new(1, &["a.io/x:latest"])).unwrap();
        store.commit(&new(2, &["b.io/x:latest"])).unwrap();
        let error = store.resolve("x").unwrap_err();
        assert_eq!(crate::base::error::hints_of(&error), ["say which: a.io/x:latest, b.io/x:latest"]);
        assert!(store.resolve("a.io/x").is_ok());
    }

    #[test]
    fn a_name_moves_and_removal_forgets() {
        let sandbox = Sandbox::new();
        let store = sandbox.store();
        let one = store.commit(&new(1, &["x:latest"])).unwrap().id;
        let two = store.commit(&new(2, &["x:latest"])).unwrap();
        assert_eq!(two.moved, [("docker.io/library/x:latest".to_owned(), one.clone())]);
        assert!(store.get(&one).unwrap().names.is_empty());
        assert_eq!(store.remove(&two.id).unwrap(), ["docker.io/library/x:latest"]);
        assert!(!store.contains(&two.id) && store.contains(&one));
        assert_eq!(store.layers_in_use(&[]).unwrap().len(), 1);
        assert!(fs::read_dir(&sandbox.0.join("staging")).unwrap().is_empty());
        assert!(store.untag(&one, Some(&["docker.io/library/x:latest".into()])).is_err());
    }

    #[test]
    fn a_damaged_record_is_listed_apart_and_replaced_by_the_next_commit() {
        let sandbox = Sandbox::new();
        let store = sandbox.store();
        let one = store.commit(&new(1, &["x:latest"])).unwrap().id;
        store.commit(&new(2, &["y:latest"])).unwrap();
        fs::replace(
            &sandbox.0.join("images").join(one.hex()).join("image.json"),
            b"{",
            0o600,
            Durability::Volatile,
        )
        .unwrap();
        let listing = store.list().unwrap();
        assert_eq!((listing.images.len(), listing.damaged.len()), (1, 1));
        assert_eq!(store.layers_in_use(&[]).unwrap().len(), 2);
        assert!(store.resolve("x").is_err() && store.resolve("y").is_ok());
        assert!(store.commit(&new(1, &["x:latest"])).unwrap().new);
        assert!(store.resolve("x").is_ok());
        fs::replace(&sandbox.0.join("names.json"), b"}", 0o600, Durability::Volatile).unwrap();
        assert_eq!(store.list().unwrap().images.len(), 2);
        store.tag(&one, &[Reference::parse("z:latest").unwrap()]).unwrap();
        assert_eq!(store.resolve("z").unwrap().id, one);
    }

    #[test]
    fn twenty_five_parallel_tags_are_twenty_five_tags() {
        let sandbox = Sandbox::new();
        let store = sandbox.store();
        let id = store.commit(&new(1, &[])).unwrap().id;
        std::thread::scope(|scope| {
            for n in 0..25 {
                let (store, id) = (&store, &id);
                scope.spawn(move || {
                    store.tag(id, &[Reference::parse(&format!("t:{n}")).unwrap()]).unwrap();
                });
            }
        });
        assert_eq!(store.get(&id).unwrap().names.len(), 25);
    }

    #[test]
    fn three_hundred_images_are_listed_quickly() {
        let sandbox = Sandbox::new();
        let store = sandbox.store();
        for n in 0..300 {
            store.commit(&new(n, &[&format!("i{n}:latest")])).unwrap();
        }
        let start = std::time::Instant::now();
        assert_eq!(store.list().unwrap().images.len(), 300);
        eprintln!("listed 300 images in {:?}", start.elapsed());
    }
}
