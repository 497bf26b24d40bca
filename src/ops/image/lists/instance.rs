//! From a list to its images: the one for a platform, or all of them.

use super::entries::choose;
use crate::base::digest::Digest;
use crate::base::error::{Context as _, Explain, Kind, Result, fail};
use crate::image::Image;
use crate::image::lists::local_id;
use crate::image::transport::Transport;
use crate::ops::context::Context;
use crate::ops::image::copy::{self, CopyOptions, Instances};
use crate::ops::image::place::{self, Source as _, Stored, Stores};
use crate::ops::image::{PullOptions, PullPolicy, pull};
use crate::ops::progress::Progress;
use crate::registry::Platform;

/// The image of a list that is for a platform, if it is in the store.
pub(in crate::ops::image) fn instance_here(
    context: &Context,
    list: &Image,
    platform: &Platform,
) -> Result<Option<Image>> {
    let record = list.as_list()?;
    let parsed = record.list()?;
    let entry =
        choose(&parsed, platform).with_context(|| format!("choose an image of the list `{}`", list.id))?;
    let known = record.sources.get(&entry.digest).and_then(|source| local_id(source));
    match known.map(|id| context.images().get(&id)) {
        Some(Ok(image)) => Ok(Some(image)),
        _ => match context.images().resolve(entry.digest.as_str()) {
            Ok(image) if !image.is_list() => Ok(Some(image)),
            _ => Ok(None),
        },
    }
}

/// The image of a list that is for a platform: from the store, else from where the list has it.
pub(in crate::ops::image) fn instance(
    context: &Context,
    list: &Image,
    reach: &PullOptions,
    progress: &dyn Progress,
) -> Result<Image> {
    let platform = reach.platform.clone().unwrap_or_else(Platform::host);
    if let Some(image) = instance_here(context, list, &platform)? {
        return Ok(image);
    }
    if reach.policy == PullPolicy::Never {
        return Err(fail(
            Kind::NotFound,
            format!("the image of the list for {platform} is not in the store"),
        )
        .hint("the pull policy is `never`"));
    }
    let entry = choose(&list.as_list()?.list()?, &platform)?.descriptor();
    let whole = Stored::new(Stores::of(context)?, list.clone(), reach)?;
    let source = whole.instance(&entry)?;
    let from = Transport::Store(list.id.to_string());
    let options = CopyOptions { from: reach.clone(), ..CopyOptions::default() };
    let kept = copy::into_store(context, &*source, &from, &[], &options, progress)?;
    context.images().get(&kept.id)
}

/// `pull --all-platforms`: every image of a list, and the list under its name.
pub fn pull_all(
    context: &Context,
    text: &str,
    reach: &PullOptions,
    progress: &dyn Progress,
) -> Result<Digest> {
    let place = match Transport::parse(text)? {
        Some(place) => place,
        None => {
            let name = pull::reach(text, reach)?.1.into_iter().next();
            Transport::Registry(name.with_context(|| format!("`{text}` names no registry"))?)
        }
    };
    let names = match &place {
        Transport::Registry(name) => {
            vec![name.digest.as_ref().map_or_else(|| name.clone(), |digest| name.with_digest(digest))]
        }
        _ => Vec::new(),
    };
    progress.message(&format!("Trying to pull {place}..."));
    let source = place::source(context, &place, reach)?;
    let options = CopyOptions { from: reach.clone(), instances: Instances::All, ..CopyOptions::default() };
    copy::into_store(context, &*source, &place, &names, &options, progress)
        .map(|kept| kept.id)
        .with_context(|| format!("pull `{text}`"))
}
