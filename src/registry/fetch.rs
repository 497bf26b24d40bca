//! Asking for manifests, images of a platform, and tags.

use ureq::http::Method;

use serde::Deserialize;

use super::client::{Client, Session};
use super::manifest::{self, Descriptor, Document, ImageManifest};
use super::platform::Platform;
use super::reference::Reference;
use super::transport::{Request, Response};
use super::url::{Url, escape};
use crate::base::digest::{Digest, Hasher};
use crate::base::error::{Context, Explain, Kind, Result, bail, fail};
use crate::base::text::printable;

/// How deep indexes may stand in indexes.
const NESTING: usize = 4;
/// Pages of a tag list.
const PAGES: usize = 10_000;
const TAGS_LIMIT: u64 = 4 << 20;

/// A manifest or index as it came, checked.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The exact bytes.
    pub bytes: Vec<u8>,
    /// Their media type.
    pub media_type: String,
    /// Their digest.
    pub digest: Digest,
    /// What they say.
    pub document: Document,
}

/// What is known of a manifest without fetching it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its digest, when the registry tells.
    pub digest: Option<Digest>,
    /// Its media type.
    pub media_type: Option<String>,
    /// Its size.
    pub size: Option<u64>,
}

/// An image of one platform, found through whatever indexes stood before it.
#[derive(Debug, Clone)]
pub struct FetchedImage {
    /// What the reference itself names: an index, or the manifest.
    pub top: Fetched,
    /// The image's manifest as it came; the same as `top` when there was no index.
    pub manifest: Fetched,
    /// The image's manifest, read.
    pub image: ImageManifest,
}

impl Client {
    /// Fetches what a reference names and checks it against the reference's digest and the registry's.
    pub fn manifest(&self, reference: &Reference) -> Result<Fetched> {
        self.anywhere(reference, |session| session.whole(|| fetch(session)))
            .with_context(|| format!("get manifest of `{reference}`"))
    }

    /// Asks for the digest of what a reference names; `None` when the registry has no such thing.
    pub fn head(&self, reference: &Reference) -> Result<Option<Head>> {
        let found = self.anywhere(reference, head);
        match found {
            Ok(head) => Ok(Some(head)),
            Err(error) if crate::base::error::kind_of(&error) == Kind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("look for `{reference}`")),
        }
    }

    /// Fetches the image of a platform.
    pub fn image(&self, reference: &Reference, platform: &Platform) -> Result<FetchedImage> {
        let top = self.manifest(reference)?;
        self.image_in(reference, top, platform)
    }

    /// Goes on from a fetched manifest or index to the image of a platform.
    pub fn image_in(&self, reference: &Reference, top: Fetched, platform: &Platform) -> Result<FetchedImage> {
        let mut current = top.clone();
        for _ in 0..NESTING {
            let index = match &current.document {
                Document::Image(image) => {
                    let image = ImageManifest::clone(image);
                    return Ok(FetchedImage { top, manifest: current, image });
                }
                Document::Index(index) => index,
            };
            let entry =
                index.choose(platform).with_context(|| format!("choose an image of `{reference}`"))?;
            current = self.listed(reference, entry)?;
        }
        bail!("indexes of `{reference}` are nested deeper than {NESTING}")
    }

    /// Fetches a manifest that an index lists.
    pub fn listed(&self, reference: &Reference, entry: &Descriptor) -> Result<Fetched> {
        let fetched =
            self.manifest(&Reference { tag: reference.tag.clone(), ..reference.with_digest(&entry.digest) })?;
        if fetched.bytes.len() as u64 != entry.size {
            bail!(
                "manifest `{}` has {} bytes, but the index says {}",
                entry.digest,
                fetched.bytes.len(),
                entry.size
            );
        }
        if fetched.media_type != entry.media_type {
            bail!(
                "manifest `{}` is of type `{}`, but the index says `{}`",
                entry.digest,
                fetched.media_type,
                printable(&entry.media_type)
            );
        }
        Ok(fetched)
    }

    /// Lists the tags of a repository.
    pub fn tags(&self, reference: &Reference) -> Result<Vec<String>> {
        let bare = reference.without_suffix();
        self.anywhere(&bare, tags).with_context(|| format!("list tags of `{bare}`"))
    }

    /// Lists the repositories of a registry, where it allows that.
    pub fn catalog(&self, registry: &str) -> Result<Vec<String>> {
        let session = self.with_registry(registry)?;
        let scopes = ["registry:catalog:*".to_owned()];
        paged(&session, session.url("/v2/_catalog?n=1000"), &scopes)
            .with_context(|| format!("list repositories of `{registry}`"))
    }
}

fn manifest_request(session: &Session, method: Method) -> Request<'static> {
    let url = session.repository_url(&format!("manifests/{}", escape(session.reference.selector())));
    Request::new(method, url).header("accept", manifest::ACCEPTED.join(", "))
}

fn fetch(session: &Session) -> Result<Fetched> {
    let response = session.send(|| manifest_request(session, Method::GET), &session.pull_scope())?;
    if response.status != 200 {
        return Err(session.refused(response));
    }
    let stated = stated_digest(&response);
    let content_type = response.header("content-type").map(str::to_owned);
    let bytes = response.into_bytes(manifest::LIMIT).context("read manifest")?;
    let pinned = session.reference.digest.clone();
    let digest = check_digests(&bytes, pinned, stated)?;
    let (document, media_type) = manifest::parse(&bytes, content_type.as_deref())?;
    Ok(Fetched { bytes, media_type, digest, document })
}

fn stated_digest(response: &Response) -> Option<Digest> {
    response.header("docker-content-digest")?.trim().parse().ok()
}

/// The bytes must be what was pinned and what the registry says they are.
fn check_digests(bytes: &[u8], pinned: Option<Digest>, stated: Option<Digest>) -> Result<Digest> {
    for (expected, whose) in [(&pinned, "the reference names"), (&stated, "the registry states")] {
        let Some(expected) = expected else { continue };
        let mut hasher = Hasher::new(expected.algorithm());
        hasher.update(bytes);
        let found = hasher.finish();
        if found != *expected {
            bail!("manifest has digest `{found}`, but {whose} `{expected}`");
        }
    }
    Ok(pinned.unwrap_or_else(|| Digest::of(bytes)))
}

fn head(session: &Session) -> Result<Head> {
    let response = session.send(|| manifest_request(session, Method::HEAD), &session.pull_scope())?;
    match response.status {
        200 => Ok(Head {
            digest: stated_digest(&response),
            media_type: response.header("content-type").map(str::to_owned),
            size: response.content_length(),
        }),
        404 => Err(fail(Kind::NotFound, "manifest unknown")),
        // Some registries refuse HEAD: GET tells as well.
        _ => fetch(session).map(|got| Head {
            digest: Some(got.digest),
            media_type: Some(got.media_type),
            size: Some(got.bytes.len() as u64),
        }),
    }
}

#[derive(Deserialize)]
struct Page {
    #[serde(default, alias = "repositories")]
    tags: Option<Vec<String>>,
}

fn tags(session: &Session) -> Result<Vec<String>> {
    paged(session, session.repository_url("tags/list?n=1000"), &session.pull_scope())
}

/// Follows the `Link` of each page to the next, on the same host only.
fn paged(session: &Session, first: Url, scopes: &[String]) -> Result<Vec<String>> {
    let (mut all, mut next) = (Vec::new(), Some(first));
    for _ in 0..PAGES {
        let Some(url) = next else { return Ok(all) };
        let (link, bytes) = session.whole(|| one_page(session, &url, scopes))?;
        next = link.map(|link| url.join(&link)).transpose()?;
        if next.as_ref().is_some_and(|next| !next.same_origin(&url) || *next == url) {
            bail!("`{}` continues its list at another host or in a circle", url.authority);
        }
        let page: Page = serde_json::from_slice(&bytes).context("read the list")?;
        all.extend(page.tags.unwrap_or_default());
    }
    bail!("the list has more than {PAGES} pages")
}

/// What a page links to, and its bytes.
fn one_page(session: &Session, url: &Url, scopes: &[String]) -> Result<(Option<String>, Vec<u8>)> {
    let response = session.send(|| Request::new(Method::GET, url.clone()), scopes)?;
    if response.status != 200 {
        return Err(session.refused(response));
    }
    let link = response.header("link").and_then(next_link);
    Ok((link, response.into_bytes(TAGS_LIMIT)?))
}

/// `</v2/x/tags/list?last=y>; rel="next"` (RFC 8288).
fn next_link(header: &str) -> Option<String> {
    header.split(',').find_map(|link| {
        let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = parameters.split(';').any(|p| matches!(p.trim(), "rel=\"next\"" | "rel=next"));
        is_next.then(|| target.to_owned())
    })
}

/// Explains that nothing of a name was found, for callers that tried several registries.
pub fn not_found(text: &str, tried: &[Reference]) -> crate::base::error::Error {
    let names = tried.iter().map(|reference| format!("`{reference}`")).collect::<Vec<_>>().join(", ");
    fail(Kind::NotFound, format!("image `{text}` not found")).hint(format!("tried {names}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_read() {
        assert_eq!(next_link(r#"</v2/x?n=1&last=y>; rel="next""#).as_deref(), Some("/v2/x?n=1&last=y"));
        assert_eq!(next_link(r#"</a>; rel="prev", </b>; rel=next"#).as_deref(), Some("/b"));
        assert_eq!(next_link("nonsense"), None);
    }

    #[test]
    fn digests_of_manifests_are_checked() {
        let (right, wrong) = (Digest::of(b"x"), Digest::of(b"y"));
        assert_eq!(check_digests(b"x", Some(right.clone()), None).unwrap(), right);
        assert_eq!(check_digests(b"x", None, Some(right.clone())).unwrap(), right);
        assert!(check_digests(b"x", Some(wrong.clone()), Some(right.clone())).is_err());
        assert!(check_digests(b"x", Some(right), Some(wrong)).is_err());
    }
}
