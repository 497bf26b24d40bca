//! From what a user typed to one image of the store.

use super::Names;
use super::record::{Image, repository_of};
use super::store::Store;
use crate::base::digest::Digest;
use crate::base::error::{Error, Explain, Kind, Result, fail};
use crate::base::id;
use crate::registry::Reference;
use crate::registry::reference::is_short_name;

/// The registry of images that never came from one.
pub(super) const LOCALHOST: &str = "localhost";

impl Store {
    /// Finds the image that `text` means: a full id; a name (full, familiar, or only its last part where that
    /// is unambiguous) with a tag or a digest; the beginning of an id, with or without `sha256:`.
    pub fn resolve(&self, text: &str) -> Result<Image> {
        let names = self.names()?;
        let id = self.resolve_id(text, &names)?;
        self.get_with(&id, &names)
    }

    /// As [`Store::resolve`], and the name by which it was found, unless that was an id.
    pub fn resolve_named(&self, text: &str) -> Result<(Image, Option<String>)> {
        let image = self.resolve(text)?;
        let mut spelled = match_name(text, &self.names()?)?;
        Ok((image, spelled.take().map(|(name, _)| name)))
    }

    fn resolve_id(&self, text: &str, names: &Names) -> Result<Digest> {
        if let Some(id) = self.by_full_id(text) {
            return Ok(id);
        }
        if let Some((_, id)) = match_name(text, names)? {
            return Ok(id);
        }
        if let Some(id) = self.by_digest(text, names)? {
            return Ok(id);
        }
        self.by_prefix(text)?.ok_or_else(|| fail(Kind::NotFound, format!("`{text}`: image not known")))
    }

    fn by_full_id(&self, text: &str) -> Option<Digest> {
        let bare = text.strip_prefix("sha256:").unwrap_or(text);
        let id: Digest = format!("sha256:{bare}").parse().ok()?;
        self.contains(&id).then_some(id)
    }

    /// `name@digest` where the digest is a manifest's or an index's and one of the image's names has this
    /// repository; or such a digest alone.
    fn by_digest(&self, text: &str, names: &Names) -> Result<Option<Digest>> {
        let (wanted, repositories): (Digest, Option<Vec<String>>) = match text.parse() {
            Ok(digest) => (digest, None),
            Err(_) => match Reference::parse(text).ok().and_then(|name| name.digest) {
                Some(digest) => (digest, Some(repositories(text)?)),
                None => return Ok(None),
            },
        };
        let knows = |id: &&Digest| {
            let repositories = repositories.as_ref();
            let named = |all: &Vec<String>| {
                names.names.iter().any(|(name, of)| of == *id && all.iter().any(|r| r == repository_of(name)))
            };
            repositories.is_none_or(named)
        };
        let with_digest = names.digests.iter().filter(|(_, all)| all.contains(&wanted)).map(|(id, _)| id);
        Ok(with_digest.filter(knows).find(|id| self.contains(id)).cloned())
    }

    fn by_prefix(&self, text: &str) -> Result<Option<Digest>> {
        let bare = text.strip_prefix("sha256:").unwrap_or(text);
        if !id::is_prefix(bare) {
            return Ok(None);
        }
        let mut found: Vec<Digest> =
            self.ids()?.into_iter().filter(|id| id.hex().starts_with(bare)).collect();
        match found.len() {
            0 | 1 => Ok(found.pop()),
            _ => Err(ambiguous(text, found.iter().map(|id| id.hex()[..24].to_owned()).collect())),
        }
    }
}

/// Repositories that a typed name may mean, best first.
fn repositories(text: &str) -> Result<Vec<String>> {
    let normalised = Reference::parse(text)?.name();
    if !is_short_name(text) {
        return Ok(vec![normalised]);
    }
    Ok(vec![Reference::parse_on(text, LOCALHOST)?.name(), normalised])
}

/// Finds the name that `text` means among those of the store.
fn match_name(text: &str, names: &Names) -> Result<Option<(String, Digest)>> {
    let Ok(parsed) = Reference::parse(text) else { return Ok(None) };
    let wanted = parsed.clone().or_latest();
    let suffix = &wanted.full()[wanted.name().len()..];
    for repository in repositories(text)? {
        let name = format!("{repository}{suffix}");
        if let Some(id) = names.names.get(&name) {
            return Ok(Some((name, id.clone())));
        }
    }
    if !is_short_name(text) {
        return Ok(None);
    }
    // `x` also finds `quay.io/a/x:latest`, as Podman does, where only one image can be meant.
    let typed = text.split(['@', ':']).next().unwrap_or(text);
    let tail = format!("/{typed}{suffix}");
    let mut found: Vec<(&String, &Digest)> =
        names.names.iter().filter(|(name, _)| name.ends_with(&tail)).collect();
    if found.windows(2).any(|pair| pair[0].1 != pair[1].1) {
        return Err(ambiguous(text, found.iter().map(|(name, _)| (*name).clone()).collect()));
    }
    Ok(found.pop().map(|(name, id)| (name.clone(), id.clone())))
}

fn ambiguous(text: &str, candidates: Vec<String>) -> Error {
    fail(Kind::Failed, format!("`{text}` could mean several images"))
        .hint(format!("say which: {}", candidates.join(", ")))
}
