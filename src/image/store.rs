//! The image store: committing, listing, naming and removing images. See the module's drawing.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::lists::ListRecord;
use super::{Config, Names, VERSION};
use crate::base::digest::{Algorithm, Digest};
use crate::base::error::{Context, Error, Kind, Result, bail, fail};
use crate::base::fs::{self, Durability};
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

/// `image.json`: enough for every listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) version: u32,
    pub(super) manifest_digest: Digest,
    pub(super) manifest_type: String,
    pub(super) layers: Vec<Digest>,
    pub(super) size: u64,
    pub(super) created: Timestamp,
    #[serde(default)]
    pub(super) os: String,
    #[serde(default)]
    pub(super) architecture: String,
    #[serde(default)]
    pub(super) variant: String,
    /// What makes it a list of images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) list: Option<ListRecord>,
}

/// An image of the store.
#[derive(Debug, Clone)]
pub struct Image {
    /// Digest of the configuration.
    pub id: Digest,
    /// Normalised references that mean it, in order: `docker.io/library/alpine:3.20`.
    pub names: Vec<String>,
    /// Its references by digest: `docker.io/library/alpine@sha256:…`.
    pub digests: Vec<String>,
    /// Digest of the manifest by which it was first had.
    pub manifest_digest: Digest,
    /// Media type of that manifest.
    pub manifest_type: String,
    /// Further digests (of indexes, of other manifests) by which it is known.
    pub known_digests: Vec<Digest>,
    /// Diff ids, lowest first.
    pub layers: Vec<Digest>,
    /// Unpacked bytes of all layers.
    pub size: u64,
    /// When it was built.
    pub created: Timestamp,
    /// `linux`
    pub os: String,
    /// `amd64`…
    pub architecture: String,
    /// `v8`…
    pub variant: String,
    /// It lies in an additional store, which is never changed.
    pub read_only: bool,
    /// The list of images that it is, if it is one.
    pub list: Option<ListRecord>,
    dir: PathBuf,
    config: OnceLock<Config>,
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

/// An image to be committed; its layers are in the layer store already.
#[derive(Debug, Clone)]
pub struct NewImage {
    /// The configuration's exact bytes.
    pub config: Vec<u8>,
    /// The manifest's exact bytes.
    pub manifest: Vec<u8>,
    /// Its media type.
    pub manifest_type: String,
    /// Unpacked bytes of all layers.
    pub size: u64,
    /// References (with tag or digest) that shall mean it from now on.
    pub names: Vec<Reference>,
    /// Digests by which it was asked for, beside the manifest's own.
    pub digests: Vec<Digest>,
}

/// What a commit did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The image.
    pub id: Digest,
    /// It was not in the store before.
    pub new: bool,
    /// Names that meant another image until now, with that image.
    pub moved: Vec<(String, Digest)>,
}

impl Image {
    /// The configuration, read when first asked for.
    pub fn config(&self) -> Result<&Config> {
        if let Some(config) = self.config.get() {
            return Ok(config);
        }
        let config = Config::parse(&self.config_bytes()?)?;
        Ok(self.config.get_or_init(|| config))
    }

    /// The configuration's exact bytes; a list of images has none.
    pub fn config_bytes(&self) -> Result<Vec<u8>> {
        if self.is_list() {
            return Err(fail(Kind::Failed, format!("`{}` is a list of images, not an image", self.id)));
        }
        fs::read_limited(&self.dir.join("config.json"), super::config::LIMIT)
    }

    /// The exact bytes of the manifest by which it was first had.
    pub fn manifest_bytes(&self) -> Result<Vec<u8>> {
        if let Some(list) = &self.list {
            return Ok(list.text.clone().into_bytes());
        }
        fs::read_limited(&self.dir.join("manifest.json"), super::config::LIMIT)
    }

    /// The exact bytes of the manifest with this digest, if the image was had by it.
    pub fn manifest_by(&self, digest: &Digest) -> Result<Option<Vec<u8>>> {
        if *digest == self.manifest_digest {
            return self.manifest_bytes().map(Some);
        }
        fs::read_optional(&self.dir.join(format!("manifest-{}.json", digest.hex())))
    }

    /// Whether a manifest or index digest means this image.
    pub fn has_digest(&self, digest: &Digest) -> bool {
        self.manifest_digest == *digest || self.known_digests.contains(digest)
    }

    /// Names with a tag, without those by digest.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str).filter(|name| !name.contains('@'))
    }

    fn assemble(id: Digest, dir: PathBuf, record: Record, names: Vec<String>, known: Vec<Digest>) -> Image {
        let digests = repo_digests(&names, &record.manifest_digest, &known);
        Image {
            id,
            names,
            digests,
            manifest_digest: record.manifest_digest,
            manifest_type: record.manifest_type,
            known_digests: known,
            layers: record.layers,
            size: record.size,
            created: record.created,
            os: record.os,
            architecture: record.architecture,
            variant: record.variant,
            read_only: false,
            list: record.list,
            dir,
            config: OnceLock::new(),
        }
    }
}

/// Every repository of the names with every digest of the image, as Podman lists them.
fn repo_digests(names: &[String], own: &Digest, known: &[Digest]) -> Vec<String> {
    let mut repositories: Vec<&str> = names.iter().map(|name| repository_of(name)).collect();
    repositories.dedup();
    let digests = || std::iter::once(own).chain(known.iter().filter(|digest| *digest != own));
    let mut all: Vec<String> = repositories
        .iter()
        .flat_map(|repository| digests().map(move |digest| format!("{repository}@{digest}")))
        .collect();
    all.sort();
    all.dedup();
    all
}

/// A normalised reference without its tag and digest.
pub(super) fn repository_of(name: &str) -> &str {
    let name = name.split_once('@').map_or(name, |(name, _)| name);
    let path = name.rfind('/').map_or(0, |slash| slash + 1);
    name[path..].find(':').map_or(name, |colon| &name[..path + colon])
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
        Image { read_only, ..Image::assemble(id, dir, record, names, known) }
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

    /// Commits an image and its names. Whoever calls holds the store lock, shared, since before it last looked
    /// whether the layers are there.
    pub fn commit(&self, new: &NewImage) -> Result<Committed> {
        let config = Config::parse(&new.config)?;
        let id = Digest::of(&new.config);
        let manifest_digest = Digest::of(&new.manifest);
        // What is slow (fsync) happens before the lock, in vain if another process commits the same image first.
        let staged = match self.read_record_in(&self.own_dir(&id), &id) {
            Ok(_) => None,
            Err(_) => Some(self.write_image(&config, &manifest_digest, new)?),
        };
        Names::update(&self.root, |names| {
            let placed = staged.map_or(Ok(false), |staged| self.place(staged, &id))?;
            self.keep_manifest(&id, &manifest_digest, &new.manifest)?;
            for digest in std::iter::once(&manifest_digest).chain(&new.digests) {
                names.add_digest(&id, digest);
            }
            Ok(Committed { id: id.clone(), new: placed, moved: give_names(names, &id, &new.names) })
        })
    }

    /// Keeps a manifest by which an image is had, beside the one by which it was had first.
    fn keep_manifest(&self, id: &Digest, digest: &Digest, bytes: &[u8]) -> Result<()> {
        let path = self.dir(id).join(format!("manifest-{}.json", digest.hex()));
        if self.read_record(id)?.manifest_digest == *digest || path.exists() {
            return Ok(());
        }
        fs::replace(&path, bytes, 0o600, Durability::Durable)
    }

    /// Writes the directory in staging.
    fn write_image(&self, config: &Config, manifest_digest: &Digest, new: &NewImage) -> Result<Staging> {
        let record = Record {
            version: VERSION,
            manifest_digest: manifest_digest.clone(),
            manifest_type: new.manifest_type.clone(),
            layers: config.rootfs.diff_ids.clone(),
            size: new.size,
            created: config.created_at(),
            os: config.os.clone(),
            architecture: config.architecture.clone(),
            variant: config.variant.clone(),
            list: None,
        };
        let staging = self.staging()?;
        let files: [(&str, &[u8]); 3] = [
            ("config.json", &new.config),
            ("manifest.json", &new.manifest),
            ("image.json", &serde_json::to_vec(&record).context("encode image record")?),
        ];
        for (name, bytes) in files {
            fs::write_new(&staging.path().join(name), bytes, 0o600, Durability::Durable)?;
        }
        fs::sync_dir(staging.path())?;
        Ok(staging)
    }

    /// Renames a finished directory into place, under the lock of the names: of many who commit the same image at
    /// once the first does it, the others use it. Tells whether it was this one.
    fn place(&self, staged: Staging, id: &Digest) -> Result<bool> {
        fs::create_dir_all(&self.images())?;
        let target = self.own_dir(id);
        if target.exists() {
            if self.read_record_in(&target, id).is_ok() {
                return staged.discard().map(|()| false);
            }
            self.take_away(id)?; // damaged: the new one replaces it
        }
        staged.commit(&target)?;
        fs::sync_dir(&self.images())?;
        Ok(true)
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
    fn take_away(&self, id: &Digest) -> Result<()> {
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

    fn read_record_in(&self, dir: &Path, id: &Digest) -> Result<Record> {
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

    fn own_dir(&self, id: &Digest) -> PathBuf {
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

/// Points names at an image; gives back those that pointed elsewhere.
pub(super) fn give_names(all: &mut Names, id: &Digest, names: &[Reference]) -> Vec<(String, Digest)> {
    let mut moved = Vec::new();
    for name in names.iter().map(Reference::full) {
        match all.names.insert(name.clone(), id.clone()) {
            Some(before) if before != *id => moved.push((name, before)),
            _ => {}
        }
    }
    moved
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::error::kind_of;
    use crate::base::id;

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
