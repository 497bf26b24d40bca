//! Lists of images as they are made and changed here: Docker's manifest list and OCI's image index.
//!
//! Unlike [`crate::registry::manifest::Index`], which reads what somebody else wrote to find an image in it, a
//! [`List`] keeps everything that a document says, so that it can be written again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base::digest::Digest;
use crate::base::error::{Context, Kind, Result, bail, fail};
use crate::registry::Platform;
use crate::registry::manifest::{self, DOCKER_LIST, DOCKER_MANIFEST, Descriptor, Document, OCI_INDEX};

/// A list of images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct List {
    schema_version: u32,
    /// [`OCI_INDEX`] or [`DOCKER_LIST`].
    #[serde(default)]
    pub media_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    artifact_type: Option<String>,
    /// The images, in order.
    #[serde(default, deserialize_with = "nullable")]
    pub manifests: Vec<Entry>,
    /// The manifest to which this list belongs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Annotations of the list itself.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    #[serde(flatten)]
    extra: BTreeMap<String, Value>,
}

/// One image of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Media type of its manifest.
    pub media_type: String,
    /// Digest of its manifest.
    pub digest: Digest,
    /// Bytes of its manifest.
    pub size: u64,
    /// What it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<EntryPlatform>,
    /// Annotations; OCI only.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    #[serde(flatten)]
    extra: BTreeMap<String, Value>,
}

/// What an image of a list runs on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EntryPlatform {
    /// `amd64`
    #[serde(deserialize_with = "nullable")]
    pub architecture: String,
    /// `linux`
    #[serde(deserialize_with = "nullable")]
    pub os: String,
    /// `os.version`
    #[serde(rename = "os.version", deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub os_version: String,
    /// `os.features`
    #[serde(rename = "os.features", deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    /// `v7`
    #[serde(deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub variant: String,
    /// Features of the processor; Docker only.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
}

/// What `manifest annotate` and `manifest add` set of an entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// `--annotation`
    pub annotations: BTreeMap<String, String>,
    /// `--arch`
    pub arch: Option<String>,
    /// `--features`
    pub features: Vec<String>,
    /// `--os`
    pub os: Option<String>,
    /// `--os-features`
    pub os_features: Vec<String>,
    /// `--os-version`
    pub os_version: Option<String>,
    /// `--variant`
    pub variant: Option<String>,
}

/// Go writes empty maps, lists and texts as `null`.
fn nullable<'de, T: Default + Deserialize<'de>, D: serde::Deserializer<'de>>(de: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(de)?.unwrap_or_default())
}

impl List {
    /// A list of nothing.
    pub fn new() -> List {
        List {
            schema_version: 2,
            media_type: DOCKER_LIST.to_owned(),
            artifact_type: None,
            manifests: Vec::new(),
            subject: None,
            annotations: BTreeMap::new(),
            extra: BTreeMap::new(),
        }
    }

    /// Reads a list; `stated` is what its source calls it. Ambiguous documents are refused as everywhere.
    pub fn parse(bytes: &[u8], stated: Option<&str>) -> Result<List> {
        let (document, media_type) = manifest::parse(bytes, stated)?;
        let Document::Index(_) = document else { bail!("it is an image, not a list of images") };
        let mut list: List = serde_json::from_slice(bytes).context("parse index")?;
        list.media_type = media_type;
        Ok(list)
    }

    /// Its bytes; equal lists give equal bytes.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        let bytes = serde_json::to_vec(self).context("encode the list")?;
        if bytes.len() as u64 > manifest::LIMIT {
            bail!("the list is larger than the limit of {} bytes", manifest::LIMIT);
        }
        Ok(bytes)
    }

    /// Puts an image at the end, in place of one of the same digest.
    pub fn add(&mut self, entry: Entry) {
        self.manifests.retain(|known| known.digest != entry.digest);
        self.manifests.push(entry);
    }

    /// The entry with this digest.
    pub fn entry_mut(&mut self, digest: &Digest) -> Result<&mut Entry> {
        let found = self.manifests.iter_mut().find(|entry| entry.digest == *digest);
        found.ok_or_else(|| not_in_list(digest))
    }

    /// Takes the entry with this digest out.
    pub fn remove(&mut self, digest: &Digest) -> Result<()> {
        let before = self.manifests.len();
        self.manifests.retain(|entry| entry.digest != *digest);
        if self.manifests.len() == before { Err(not_in_list(digest)) } else { Ok(()) }
    }

    /// Chooses the form by the content: a list of Docker's images that says nothing which only OCI knows is Docker's.
    pub fn settle(&mut self) {
        let plain = self.annotations.is_empty() && self.subject.is_none() && self.artifact_type.is_none();
        let docker = |entry: &Entry| entry.media_type == DOCKER_MANIFEST && entry.annotations.is_empty();
        let form = if plain && self.manifests.iter().all(docker) { DOCKER_LIST } else { OCI_INDEX };
        self.media_type = form.to_owned();
    }

    /// Takes another form; Docker's has no room for annotations and a subject.
    pub fn convert(&mut self, media_type: &str) {
        self.media_type = media_type.to_owned();
        if media_type == DOCKER_LIST {
            (self.subject, self.artifact_type) = (None, None);
            self.annotations.clear();
            self.manifests.iter_mut().for_each(|entry| entry.annotations.clear());
        } else {
            let platforms = self.manifests.iter_mut().filter_map(|entry| entry.platform.as_mut());
            platforms.for_each(|platform| platform.features.clear());
        }
    }
}

impl Default for List {
    fn default() -> Self {
        List::new()
    }
}

fn not_in_list(digest: &Digest) -> crate::base::error::Error {
    fail(Kind::NotFound, format!("no image of the list has digest `{digest}`"))
}

impl Entry {
    /// An entry for a manifest.
    pub fn new(media_type: &str, digest: Digest, size: u64, platform: Option<EntryPlatform>) -> Entry {
        let (annotations, extra) = (BTreeMap::new(), BTreeMap::new());
        Entry { media_type: media_type.to_owned(), digest, size, platform, annotations, extra }
    }

    /// Sets what is said about it; annotations are added to those that it has.
    pub fn change(&mut self, changes: &Changes) {
        self.annotations.extend(changes.annotations.clone());
        let platform = self.platform.get_or_insert_default();
        let texts = [
            (&mut platform.architecture, &changes.arch),
            (&mut platform.os, &changes.os),
            (&mut platform.os_version, &changes.os_version),
            (&mut platform.variant, &changes.variant),
        ];
        for (own, said) in texts {
            if let Some(said) = said {
                own.clone_from(said);
            }
        }
        for (own, said) in
            [(&mut platform.features, &changes.features), (&mut platform.os_features, &changes.os_features)]
        {
            if !said.is_empty() {
                own.clone_from(said);
            }
        }
        if *platform == EntryPlatform::default() {
            self.platform = None;
        }
    }

    /// As whoever fetches it needs it.
    pub fn descriptor(&self) -> Descriptor {
        Descriptor {
            media_type: self.media_type.clone(),
            digest: self.digest.clone(),
            size: self.size,
            urls: Vec::new(),
            annotations: self.annotations.clone(),
            platform: self.platform.as_ref().map(EntryPlatform::platform),
            artifact_type: None,
        }
    }
}

impl EntryPlatform {
    /// Without versions and features.
    pub fn platform(&self) -> Platform {
        let variant = Some(self.variant.clone()).filter(|variant| !variant.is_empty());
        Platform { os: self.os.clone(), arch: self.architecture.clone(), variant }
    }
}

impl From<&super::Config> for EntryPlatform {
    fn from(config: &super::Config) -> EntryPlatform {
        let text = |key: &str| config.extra.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let features = config.extra.get("os.features").and_then(Value::as_array);
        let features = features.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
        EntryPlatform {
            architecture: config.architecture.clone(),
            os: config.os.clone(),
            os_version: text("os.version"),
            os_features: features.collect(),
            variant: config.variant.clone(),
            features: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::manifest::OCI_MANIFEST;

    fn entry(media_type: &str, content: &[u8]) -> Entry {
        let platform = EntryPlatform { os: "linux".into(), architecture: "arm".into(), ..Default::default() };
        Entry::new(media_type, Digest::of(content), 7, Some(platform))
    }

    #[test]
    fn the_form_follows_the_content() {
        let mut list = List::new();
        list.settle();
        assert_eq!(list.media_type, DOCKER_LIST);
        list.add(entry(DOCKER_MANIFEST, b"a"));
        list.settle();
        assert_eq!(list.media_type, DOCKER_LIST);
        list.add(entry(OCI_MANIFEST, b"b"));
        list.settle();
        assert_eq!(list.media_type, OCI_INDEX);
        list.remove(&Digest::of(b"b")).unwrap();
        list.annotations.insert("a".into(), "b".into());
        list.settle();
        assert_eq!(list.media_type, OCI_INDEX);
        list.convert(DOCKER_LIST);
        assert!(list.annotations.is_empty());
        assert!(list.remove(&Digest::of(b"b")).is_err() && list.entry_mut(&Digest::of(b"b")).is_err());
    }

    #[test]
    fn what_a_list_says_survives_a_change() {
        let text = format!(
            r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","x":[1],"annotations":null,"manifests":[{{"mediaType":
            "{OCI_MANIFEST}","digest":"{}","size":7,"y":{{"z":null}},"platform":{{"os":"windows","architecture":
            "amd64","os.version":"10","os.features":["win32k"]}}}}]}}"#,
            Digest::of(b"a")
        );
        let mut list = List::parse(text.as_bytes(), None).unwrap();
        let changes = Changes { variant: Some("v3".into()), ..Changes::default() };
        list.entry_mut(&Digest::of(b"a")).unwrap().change(&changes);
        let again: Value = serde_json::from_slice(&list.bytes().unwrap()).unwrap();
        assert_eq!(
            (&again["x"], &again["manifests"][0]["y"]),
            (&serde_json::json!([1]), &serde_json::json!({"z": null}))
        );
        let platform = &again["manifests"][0]["platform"];
        assert_eq!((&platform["os.version"], &platform["variant"]), (&Value::from("10"), &Value::from("v3")));
        assert_eq!(List::parse(&list.bytes().unwrap(), Some(OCI_INDEX)).unwrap(), list);
    }

    #[test]
    fn an_image_is_no_list() {
        let image = format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"c","digest":"{}","size":1}},"layers":[]}}"#,
            Digest::of(b"x")
        );
        for bad in
            [image.as_str(), "{}", "[]", r#"{"schemaVersion":2,"manifests":[{"digest":"sha256:../x"}]}"#]
        {
            assert!(List::parse(bad.as_bytes(), None).is_err(), "{bad}");
        }
    }
}
