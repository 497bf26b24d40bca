//! Manifests and indexes: OCI image specification 1.1 and Docker schema 2, read from untrusted bytes.
//!
//! The bytes as they came are what the digest is of: keep them, never write these types back in their place.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

use super::platform::Platform;
use crate::base::digest::Digest;
use crate::base::error::{Context, Explain, Kind, Result, bail, fail};
use crate::base::text::printable;

/// OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Docker image manifest, version 2 schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// OCI image configuration.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Docker image configuration.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const SCHEMA_ONE: [&str; 2] = [
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
];

/// The largest manifest, index or configuration that is read.
pub const LIMIT: u64 = 4 << 20;

/// What the `Accept` header of a manifest request lists.
pub const ACCEPTED: [&str; 4] = [OCI_MANIFEST, DOCKER_MANIFEST, OCI_INDEX, DOCKER_LIST];

/// Points at content: type, digest, size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Media type of the content.
    pub media_type: String,
    /// Digest of the content.
    pub digest: Digest,
    /// Bytes of the content.
    pub size: u64,
    /// Other places of the content (foreign layers).
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// Annotations.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// In an index: what the image runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Type of an artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
}

/// A manifest of one image: its configuration and layers, lowest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageManifest {
    /// Always 2.
    pub schema_version: u32,
    /// The type as the document states it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The configuration, whose digest is the image id.
    pub config: Descriptor,
    /// The layers, lowest first.
    pub layers: Vec<Descriptor>,
    /// Type of an artifact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// What this manifest refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Annotations.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// An index (manifest list): images for several platforms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// The type as the document states it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The manifests.
    #[serde(deserialize_with = "null_is_default")]
    pub manifests: Vec<Descriptor>,
    /// Annotations.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What a manifest request brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// One image.
    Image(Box<ImageManifest>),
    /// Several images.
    Index(Index),
}

/// Go writes empty maps and lists as `null`.
fn null_is_default<'de, T: Default + Deserialize<'de>, D: serde::Deserializer<'de>>(
    de: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(de)?.unwrap_or_default())
}

/// Reads a manifest or an index; `stated` is what the server, the index or the archive calls it. Gives back the true
/// media type. Documents that could be read in two ways are refused (CVE-2021-41190).
pub fn parse(bytes: &[u8], stated: Option<&str>) -> Result<(Document, String)> {
    if bytes.len() as u64 > LIMIT {
        bail!("manifest is larger than the limit of {LIMIT} bytes");
    }
    // serde_json stops at a depth of 128.
    let value: Value = serde_json::from_slice(bytes).context("parse manifest")?;
    let media_type = media_type_of(&value, stated)?;
    let document = match media_type.as_str() {
        OCI_MANIFEST | DOCKER_MANIFEST => {
            Document::Image(Box::new(serde_json::from_value(value).context("parse manifest")?))
        }
        OCI_INDEX | DOCKER_LIST => Document::Index(serde_json::from_value(value).context("parse index")?),
        other => bail!("manifest of type `{}` is not supported", printable(other)),
    };
    Ok((document, media_type))
}

fn media_type_of(value: &Value, stated: Option<&str>) -> Result<String> {
    let stated =
        stated.map(bare).filter(|stated| ACCEPTED.contains(&stated.as_str()) || is_schema_one(stated));
    let own = match value.get("mediaType") {
        Some(Value::String(own)) if !own.is_empty() => Some(own.clone()),
        None | Some(Value::Null | Value::String(_)) => None,
        Some(_) => bail!("manifest whose mediaType is not a text"),
    };
    if let (Some(stated), Some(own)) = (&stated, &own)
        && stated != own
    {
        bail!("manifest calls itself `{}` but was served as `{stated}`", printable(own));
    }
    let has = |key: &str| value.get(key).is_some_and(|value| !value.is_null());
    let (image, index) = (has("config") || has("layers"), has("manifests"));
    if has("fsLayers")
        || value.get("schemaVersion") == Some(&Value::from(1))
        || stated.as_deref().is_some_and(is_schema_one)
    {
        return Err(fail(Kind::Failed, "image has a manifest of schema 1, which is too old")
            .hint("pull it with an old Docker and push it again"));
    }
    if image && index {
        bail!("manifest is ambiguous: it has `manifests` as well as `config` or `layers`");
    }
    let guess = if index { OCI_INDEX } else { OCI_MANIFEST };
    let media_type = own.or(stated).unwrap_or_else(|| guess.to_owned());
    let is_index = matches!(media_type.as_str(), OCI_INDEX | DOCKER_LIST);
    if (is_index && image) || (!is_index && index) {
        bail!("manifest is ambiguous: its content does not fit its type `{}`", printable(&media_type));
    }
    Ok(media_type)
}

fn is_schema_one(media_type: &str) -> bool {
    SCHEMA_ONE.contains(&media_type)
}

/// A `Content-Type` without its parameters.
fn bare(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

impl Index {
    /// The entry that fits a platform best.
    pub fn choose(&self, platform: &Platform) -> Result<&Descriptor> {
        let offered = |entry: &Descriptor| entry.platform.clone().unwrap_or_else(Platform::host);
        let ranked = self
            .manifests
            .iter()
            .enumerate()
            .filter(|(_, entry)| ACCEPTED.contains(&entry.media_type.as_str()));
        let fitting = ranked.filter_map(|(n, entry)| Some((platform.rank(&offered(entry))?, n, entry)));
        match fitting.min_by_key(|(rank, n, _)| (*rank, *n)) {
            Some((_, _, entry)) => Ok(entry),
            None => Err(self.no_match(platform)),
        }
    }

    fn no_match(&self, platform: &Platform) -> crate::base::error::Error {
        let named = self.manifests.iter().filter_map(|entry| entry.platform.as_ref());
        let known = named.filter(|platform| platform.os != "unknown").map(|platform| platform.to_string());
        let mut offered: Vec<String> = known.collect();
        offered.sort();
        offered.dedup();
        offered.truncate(24);
        let error = fail(Kind::NotFound, format!("no image for platform {platform} in the index"));
        if offered.is_empty() { error } else { error.hint(format!("it has: {}", offered.join(", "))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn image(extra: &str) -> String {
        format!(
            r#"{{"schemaVersion":2,{extra}"config":{{"mediaType":"c","digest":"sha256:{HEX}","size":1}},"layers":[]}}"#
        )
    }

    fn index(extra: &str) -> String {
        let entry = |arch: &str, n: u32| {
            format!(
                r#"{{"mediaType":"{OCI_MANIFEST}","digest":"sha256:{HEX}","size":{n},
                "platform":{{"os":"linux","architecture":"{arch}"}},"annotations":null}}"#
            )
        };
        format!(r#"{{"schemaVersion":2,{extra}"manifests":[{},{}]}}"#, entry("amd64", 1), entry("arm64", 2))
    }

    #[test]
    fn types_are_found_from_the_document_and_the_header() {
        let table = [
            (image(""), Some(DOCKER_MANIFEST), DOCKER_MANIFEST),
            (image(""), None, OCI_MANIFEST),
            (image(""), Some("application/json; charset=utf-8"), OCI_MANIFEST),
            (image(&format!(r#""mediaType":"{DOCKER_MANIFEST}","#)), Some("text/plain"), DOCKER_MANIFEST),
            (index(""), None, OCI_INDEX),
            (index(""), Some(DOCKER_LIST), DOCKER_LIST),
        ];
        for (text, stated, expected) in table {
            assert_eq!(parse(text.as_bytes(), stated).unwrap().1, expected, "{text}");
        }
    }

    #[test]
    fn documents_with_two_readings_are_refused() {
        let bad = [
            (image(&format!(r#""mediaType":"{OCI_INDEX}","#)), None),
            (image(""), Some(OCI_INDEX)),
            (index(""), Some(OCI_MANIFEST)),
            (image(&format!(r#""mediaType":"{OCI_MANIFEST}","#)), Some(DOCKER_MANIFEST)),
            (image(r#""manifests":[],"#), None),
            (image(r#""mediaType":7,"#), None),
            (image(r#""mediaType":"text/html","#), None),
            (image("").replace("sha256:", "sha256:/../"), None),
            (r#"{"schemaVersion":1,"fsLayers":[]}"#.into(), None),
            ("[]".into(), None),
            ("{".into(), None),
            ("[".repeat(200_000), None),
        ];
        for (text, stated) in bad {
            assert!(parse(text.as_bytes(), stated).is_err(), "{}", &text[..text.len().min(80)]);
        }
    }

    #[test]
    fn an_index_gives_the_entry_of_the_platform() {
        let (Document::Index(index), _) = parse(index("").as_bytes(), None).unwrap() else {
            panic!("no index")
        };
        assert_eq!(index.choose(&"linux/arm64".parse().unwrap()).unwrap().size, 2);
        let error = index.choose(&"linux/s390x".parse().unwrap()).unwrap_err();
        assert_eq!(crate::base::error::hints_of(&error), ["it has: linux/amd64, linux/arm64"]);
    }
}
