//! `manifest inspect`.

use crate::base::error::{Context as _, Result};
use crate::image::transport::Transport;
use crate::ops::context::Context;
use crate::ops::image::{PullOptions, find, place, pull};
use crate::registry::Fetched;
use crate::registry::manifest::Document;

/// The document of a list: of the store, else of a registry. An image's manifest comes with a warning.
pub fn inspect(
    context: &Context,
    text: &str,
    reach: &PullOptions,
) -> Result<(serde_json::Value, Option<String>)> {
    let fetched = match (Transport::parse(text)?, find(context, text)) {
        (None, Ok(image)) if image.is_list() => {
            return parsed(&image.manifest_bytes()?).map(|list| (list, None));
        }
        (None, here) => match remote_top(text, reach) {
            Ok(fetched) => fetched,
            // What is here serves when nobody else has it.
            Err(error) => match here {
                Ok(image) => {
                    return parsed(&image.manifest_bytes()?)
                        .map(|doc| (doc, Some(single(&image.manifest_type))));
                }
                Err(_) => return Err(error),
            },
        },
        (Some(transport), _) => place::source(context, &transport, reach)?.top()?,
    };
    let warning = matches!(fetched.document, Document::Image(_)).then(|| single(&fetched.media_type));
    Ok((parsed(&fetched.bytes)?, warning))
}

fn remote_top(text: &str, reach: &PullOptions) -> Result<Fetched> {
    let (client, names) = pull::reach(text, reach)?;
    let name = names.into_iter().next().with_context(|| format!("`{text}` names no registry"))?;
    client.manifest(&name)
}

fn single(media_type: &str) -> String {
    format!("the manifest type {media_type} is not a manifest list but a single image")
}

fn parsed(bytes: &[u8]) -> Result<serde_json::Value> {
    serde_json::from_slice(bytes).context("parse manifest")
}
