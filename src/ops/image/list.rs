//! `images`, `image ls`.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;

use serde::Serialize;

use super::filter::{Filter, Judge, name_fits};
use super::shares::{Share, shares};
use super::usage::usage;
use super::{ancestry, lists};
use crate::base::digest::Digest;
use crate::base::error::{Error, Kind, Result, fail};
use crate::base::time;
use crate::image::{Damaged, Image};
use crate::ops::context::Context;

/// What `images` was asked for.
#[derive(Debug, Clone, Default)]
pub struct ListOptions {
    /// `--all`: intermediate images too.
    pub all: bool,
    /// `--filter`
    pub filters: Vec<Filter>,
    /// Only names that fit one of these patterns (`images NAME`).
    pub names: Vec<String>,
    /// `--sort`
    pub sort: Sort,
    /// What is wanted beside the records.
    pub detail: Detail,
}

/// What costs more to tell than a look at the record of an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Detail {
    /// How many containers use it.
    pub containers: bool,
    /// What it shares with others.
    pub shares: bool,
    /// On which other image it was built.
    pub parents: bool,
}

impl Detail {
    /// Everything.
    pub const ALL: Detail = Detail { containers: true, shares: true, parents: true };
}

/// `--sort`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sort {
    /// Newest first.
    #[default]
    Created,
    /// By id.
    Id,
    /// By repository, then tag.
    Repository,
    /// Smallest first.
    Size,
    /// By tag.
    Tag,
}

impl FromStr for Sort {
    type Err = Error;
    fn from_str(text: &str) -> Result<Sort> {
        match text {
            "created" => Ok(Sort::Created),
            "id" => Ok(Sort::Id),
            "repository" => Ok(Sort::Repository),
            "size" => Ok(Sort::Size),
            "tag" => Ok(Sort::Tag),
            _ => Err(fail(
                Kind::Usage,
                format!("`{text}` is not an order: created, id, repository, size or tag"),
            )),
        }
    }
}

/// One image of a listing.
#[derive(Debug)]
pub struct Listed {
    /// The image.
    pub image: Image,
    /// Those of its names that were asked for; empty shows as `<none>`.
    pub names: Vec<String>,
    /// How many containers use it; -1 when nobody looked.
    pub containers: i64,
    /// What it shares with others, where that was asked for.
    pub share: Option<Share>,
    /// The image that it was built on, where that was asked for.
    pub parent: Option<Digest>,
}

/// Podman's JSON form of a listed image.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "the keys are Podman's")]
pub struct Summary {
    pub id: String,
    pub parent_id: String,
    pub repo_tags: Vec<String>,
    pub repo_digests: Vec<String>,
    pub size: u64,
    pub shared_size: u64,
    pub virtual_size: u64,
    pub labels: BTreeMap<String, String>,
    pub containers: i64,
    pub arch: String,
    pub digest: Digest,
    pub history: Vec<String>,
    pub names: Vec<String>,
    pub os: String,
    pub dangling: bool,
    pub created: i64,
    pub created_at: String,
}

impl Listed {
    /// The labels, from the configuration; one that cannot be read has none.
    pub fn labels(&self) -> BTreeMap<String, String> {
        self.image.config().map(|config| config.config.labels.clone()).unwrap_or_default()
    }

    /// Podman's JSON form. Reads the configuration for the labels.
    pub fn summary(&self) -> Summary {
        let image = &self.image;
        Summary {
            id: image.id.hex().to_owned(),
            parent_id: self.parent.as_ref().map(|parent| parent.hex().to_owned()).unwrap_or_default(),
            repo_tags: image.tags().map(str::to_owned).collect(),
            repo_digests: image.digests.clone(),
            size: image.size,
            shared_size: self.share.map_or(0, |share| share.shared),
            virtual_size: image.size,
            labels: self.labels(),
            containers: self.containers,
            arch: image.architecture.clone(),
            digest: image.manifest_digest.clone(),
            history: image.names.clone(),
            names: image.names.clone(),
            os: image.os.clone(),
            dangling: image.names.is_empty(),
            created: image.created.as_second(),
            created_at: time::rfc3339(image.created),
        }
    }
}

/// Lists images; damaged ones apart.
pub fn list(context: &Context, options: &ListOptions) -> Result<(Vec<Listed>, Vec<Damaged>)> {
    let listing = context.images().list()?;
    let counts = options.detail.containers
        || options.filters.iter().any(|filter| matches!(filter, Filter::Containers(_)));
    let usage = if counts { Some(usage(context)?) } else { None };
    let judge = Judge::new(options.filters.clone(), context.images(), &listing.images, usage.as_ref())?;
    let in_lists = lists::members(&listing.images);
    let hidden = |image: &Image| {
        let needed = || in_lists.contains(&image.id) || ancestry::has_children(image, &listing.images);
        !options.all && image.names.is_empty() && needed()
    };
    let kept: Vec<bool> = listing.images.iter().map(|image| judge.passes(image) && !hidden(image)).collect();
    let patterns: Vec<String> = reference_patterns(options);
    let mut found = details(context, &listing.images, &kept, options.detail)?;
    let mut listed: Vec<Listed> = Vec::new();
    for (image, _) in listing.images.into_iter().zip(kept).filter(|(_, kept)| *kept) {
        let names: Vec<String> = image.names.iter().filter(|name| fits(&patterns, name)).cloned().collect();
        if names.is_empty() && !options.names.is_empty() {
            continue;
        }
        let containers = usage.as_ref().map_or(-1, |usage| usage.of(&image.id).len() as i64);
        let (share, parent) = found.remove(&image.id).unwrap_or_default();
        listed.push(Listed { image, names, containers, share, parent });
    }
    sort(&mut listed, options.sort);
    Ok((listed, listing.damaged))
}

type Found = (Option<Share>, Option<Digest>);

/// Shares and parents of the images that are kept, as far as they are wanted.
fn details(
    context: &Context,
    all: &[Image],
    kept: &[bool],
    wanted: Detail,
) -> Result<HashMap<Digest, Found>> {
    let mut found: HashMap<Digest, Found> = HashMap::new();
    if wanted.shares {
        let layers = context.layers()?;
        let size_of = |layer: &Digest| layers.info(layer).map_or(0, |info| info.size);
        let images: Vec<&Image> = all.iter().collect();
        for (image, share) in all.iter().zip(shares(&images, &size_of)) {
            found.entry(image.id.clone()).or_default().0 = Some(share);
        }
    }
    if wanted.parents {
        for (image, _) in all.iter().zip(kept).filter(|(_, kept)| **kept) {
            found.entry(image.id.clone()).or_default().1 = ancestry::parent_id(image, all);
        }
    }
    Ok(found)
}

fn reference_patterns(options: &ListOptions) -> Vec<String> {
    let from_filters = options.filters.iter().filter_map(|filter| match filter {
        Filter::Reference(pattern) => Some(pattern.clone()),
        _ => None,
    });
    options.names.iter().cloned().chain(from_filters).collect()
}

fn fits(patterns: &[String], name: &str) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| name_fits(pattern, name))
}

/// By what an image has once; names are sorted where there is a row for each.
fn sort(listed: &mut [Listed], order: Sort) {
    match order {
        Sort::Created | Sort::Repository | Sort::Tag => {}
        Sort::Id => listed.sort_by(|a, b| a.image.id.cmp(&b.image.id)),
        Sort::Size => listed.sort_by_key(|row| row.image.size),
    }
}
