//! `pull`, and getting an image for `run` and `create`.

use std::io::{Cursor, Read};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::fetch::{self, Wanted};
use super::resume::Download;
use super::{chunked, lists, load, trust};
use crate::base::digest::Digest;
use crate::base::error::{Context as _, Error, Explain, Kind, Result, bail, fail, is_not_found, render};
use crate::event::{Event, Subject};
use crate::image::archive::read::{check_types, pair};
use crate::image::transport::Transport;
use crate::image::{Config, Image, NewImage, embedded};
use crate::layer::{self, Blob};
use crate::ops::context::Context;
use crate::ops::events;
use crate::ops::progress::Progress;
use crate::registry::{Client, ClientOptions, Credentials, FetchedImage, Platform, Reference, Registries};

/// When to ask the registry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PullPolicy {
    /// Always.
    Always,
    /// When the store has no such image.
    #[default]
    Missing,
    /// Never.
    Never,
    /// When the registry has another image of that name than the store.
    Newer,
}

impl FromStr for PullPolicy {
    type Err = Error;
    fn from_str(text: &str) -> Result<PullPolicy> {
        match text {
            "always" | "true" => Ok(PullPolicy::Always),
            "missing" | "ifmissing" | "if-missing" | "IfNotPresent" => Ok(PullPolicy::Missing),
            "never" | "false" => Ok(PullPolicy::Never),
            "newer" | "ifnewer" => Ok(PullPolicy::Newer),
            _ => Err(fail(
                Kind::Usage,
                format!("`{text}` is not a pull policy: always, missing, never or newer"),
            )),
        }
    }
}

/// What `pull` was asked for.
#[derive(Debug, Clone)]
pub struct PullOptions {
    /// `--policy`, `--pull`
    pub policy: PullPolicy,
    /// `--all-tags`
    pub all_tags: bool,
    /// `--platform`, or `--os`, `--arch`, `--variant`; the host's when not asked for.
    pub platform: Option<Platform>,
    /// `--authfile`
    pub authfile: Option<PathBuf>,
    /// `--creds`, `user:password`.
    pub creds: Option<String>,
    /// `--tls-verify`
    pub tls_verify: Option<bool>,
    /// `--cert-dir`
    pub cert_dir: Option<PathBuf>,
    /// `--signature-policy`
    pub signature_policy: Option<PathBuf>,
    /// `--retry`
    pub retry: u32,
    /// `--retry-delay`
    pub retry_delay: Option<Duration>,
}

impl Default for PullOptions {
    fn default() -> Self {
        PullOptions {
            policy: PullPolicy::default(),
            all_tags: false,
            platform: None,
            authfile: None,
            creds: None,
            tls_verify: None,
            cert_dir: None,
            signature_policy: None,
            retry: 3,
            retry_delay: None,
        }
    }
}

/// An image that `pull` gives.
#[derive(Debug, Clone)]
pub struct Pulled {
    /// Its id.
    pub id: Digest,
    /// The full name by which it was had.
    pub name: String,
    /// It was fetched; otherwise the store had it.
    pub fetched: bool,
    /// Lines for stderr.
    pub warnings: Vec<String>,
}

/// Gets an image into the store as the policy says. With `all_tags`, one for every tag.
pub fn pull(
    context: &Context,
    text: &str,
    options: &PullOptions,
    progress: &dyn Progress,
) -> Result<Vec<Pulled>> {
    let text = text.strip_prefix("docker://").unwrap_or(text);
    if let Some(loaded) = load::transport(context, text, options, progress)? {
        let pulled = |loaded: load::Loaded| Pulled {
            name: loaded.names.first().cloned().unwrap_or_default(),
            id: loaded.id,
            fetched: true,
            warnings: Vec::new(),
        };
        return Ok(loaded.into_iter().map(pulled).collect());
    }
    if options.all_tags {
        return pull_all_tags(context, text, options, progress);
    }
    if embedded::is_name(text) {
        return local(context, text, options)?
            .map_or_else(|| install_embedded(context), Ok)
            .map(|image| vec![kept(image, text)]);
    }
    let here = local(context, text, options)?;
    match (options.policy, here) {
        // An id names an image of the store; no registry knows it.
        (_, Some(image)) if context.images().resolve_named(text)?.1.is_none() => Ok(vec![kept(image, text)]),
        (PullPolicy::Missing | PullPolicy::Never, Some(image)) => Ok(vec![kept(image, text)]),
        (PullPolicy::Never, None) => {
            Err(fail(Kind::NotFound, format!("`{text}`: image not known")).hint("the pull policy is `never`"))
        }
        (PullPolicy::Newer, Some(image)) => {
            newer(context, text, image, options, progress).map(|one| vec![one])
        }
        (PullPolicy::Always, _) | (_, None) => remote(context, text, options, progress).map(|one| vec![one]),
    }
}

/// The image for `run` and `create`: from the store or, as the policy says, from a registry.
pub fn obtain(
    context: &Context,
    text: &str,
    options: &PullOptions,
    progress: &dyn Progress,
) -> Result<Image> {
    if matches!(options.policy, PullPolicy::Missing | PullPolicy::Never) {
        // One look at the store is all that `run` pays.
        if let Some(image) = local(context, text, options)? {
            return Ok(image);
        }
        if let Ok(list) = lists::list_named(context, text) {
            return lists::instance(context, &list, options, progress);
        }
    }
    let pulled = pull(context, text, options, progress)?;
    let Some(first) = pulled.first() else { bail!("`{text}` gave no image") };
    context.images().get(&first.id)
}

/// The store's image of that name, if it is for the platform that was asked for.
fn local(context: &Context, text: &str, options: &PullOptions) -> Result<Option<Image>> {
    let image = match context.images().resolve(text) {
        Ok(image) => image,
        Err(error) if is_not_found(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    if image.is_list() {
        let platform = options.platform.clone().unwrap_or_else(Platform::host);
        return lists::instance_here(context, &image, &platform);
    }
    let fits = options.platform.as_ref().is_none_or(|wanted| {
        let variant = Some(image.variant.clone()).filter(|variant| !variant.is_empty());
        let own = Platform { os: image.os.clone(), arch: image.architecture.clone(), variant };
        wanted.rank(&own).is_some()
    });
    Ok(fits.then_some(image))
}

fn kept(image: Image, text: &str) -> Pulled {
    let name = image.names.first().cloned().unwrap_or_else(|| text.to_owned());
    Pulled { id: image.id, name, fetched: false, warnings: Vec::new() }
}

/// Puts the embedded image into the store.
pub(super) fn install_embedded(context: &Context) -> Result<Image> {
    let parts = embedded::build()?;
    let layer = parts.layer;
    let bytes = || -> Result<Box<dyn Read + Send>> { Ok(Box::new(Cursor::new(layer.clone()))) };
    let wanted = Wanted { diff_id: parts.diff_id, blob: None, origin: Box::new(bytes) };
    let committed = fetch::commit(context, &[wanted], &crate::ops::progress::Silent, &|infos| {
        Ok(NewImage {
            config: parts.config.clone(),
            manifest: parts.manifest.clone(),
            manifest_type: crate::registry::manifest::OCI_MANIFEST.to_owned(),
            size: infos.iter().map(|info| info.size).sum(),
            names: vec![embedded::reference()?],
            digests: Vec::new(),
        })
    })?;
    context.images().get(&committed.id)
}

/// Asks whether the registry has another image; where it cannot be asked, the store's serves.
fn newer(
    context: &Context,
    text: &str,
    image: Image,
    options: &PullOptions,
    progress: &dyn Progress,
) -> Result<Pulled> {
    let (client, candidates) = reach(text, options)?;
    let own = image.names.clone();
    let candidate = candidates.iter().find(|name| own.contains(&name.full())).or(candidates.first());
    let head = match candidate {
        Some(name) => client.head(name),
        None => Ok(None),
    };
    match head {
        Ok(Some(head)) if head.digest.as_ref().is_none_or(|digest| !image.has_digest(digest)) => {
            remote(context, text, options, progress)
        }
        Ok(_) => Ok(kept(image, text)),
        Err(error) => {
            let mut kept = kept(image, text);
            kept.warnings.push(format!("using the image in the store: {}", render(&error)));
            Ok(kept)
        }
    }
}

/// A client and the references that the text may mean, in order.
pub(super) fn reach(text: &str, options: &PullOptions) -> Result<(Client, Vec<Reference>)> {
    let client = client(options)?;
    let candidates = client.options().registries.candidates(text)?;
    Ok((client, candidates.into_iter().map(Reference::or_latest).collect()))
}

/// A client that reaches registries as was asked for.
pub fn client(options: &PullOptions) -> Result<Client> {
    let creds = options.creds.as_deref().map(Credentials::parse).transpose()?;
    Ok(Client::new(ClientOptions {
        tls_verify: options.tls_verify,
        cert_dir: options.cert_dir.clone(),
        authfile: options.authfile.clone(),
        creds,
        retry: options.retry,
        retry_delay: options.retry_delay,
        registries: Registries::load()?,
        ..ClientOptions::default()
    }))
}

/// Tries the candidates in turn.
fn remote(context: &Context, text: &str, options: &PullOptions, progress: &dyn Progress) -> Result<Pulled> {
    let (client, candidates) = reach(text, options)?;
    let mut failures: Vec<(Reference, Error)> = Vec::new();
    for candidate in candidates {
        progress.message(&format!("Trying to pull {candidate}..."));
        match pull_one(context, &client, &candidate, options, progress) {
            Ok(pulled) => {
                events::tell(context, Event::now(Subject::Image, "pull", pulled.id.hex(), &pulled.name));
                return Ok(pulled);
            }
            Err(error) => failures.push((candidate, error)),
        }
    }
    Err(explain(text, failures))
}

fn explain(text: &str, mut failures: Vec<(Reference, Error)>) -> Error {
    if failures.len() == 1 {
        let (name, error) = failures.remove(0);
        return error.context(format!("pull `{name}`"));
    }
    let all_missing = failures.iter().all(|(_, error)| is_not_found(error));
    let kind = if all_missing { Kind::NotFound } else { Kind::Failed };
    failures
        .into_iter()
        .fold(fail(kind, format!("`{text}` is in none of its registries")), |error, (name, cause)| {
            error.hint(format!("{name}: {}", render(&cause)))
        })
}

fn pull_all_tags(
    context: &Context,
    text: &str,
    options: &PullOptions,
    progress: &dyn Progress,
) -> Result<Vec<Pulled>> {
    let parsed = Reference::parse(text)?;
    if parsed.tag.is_some() || parsed.digest.is_some() {
        return Err(fail(Kind::Usage, format!("`{text}`: a tag cannot be used together with --all-tags")));
    }
    let (client, candidates) = reach(text, options)?;
    let Some(name) = candidates.first() else { bail!("`{text}` names no registry") };
    let tags = client.tags(name)?;
    if tags.is_empty() {
        return Err(fail(Kind::NotFound, format!("`{}` has no tags", name.name())));
    }
    let mut pulled = Vec::new();
    for tag in tags {
        let name = name.with_tag(&tag)?;
        progress.message(&format!("Trying to pull {name}..."));
        let one =
            pull_one(context, &client, &name, options, progress).with_context(|| format!("pull `{name}`"))?;
        pulled.push(one);
    }
    Ok(pulled)
}

/// One image from one place.
fn pull_one(
    context: &Context,
    client: &Client,
    name: &Reference,
    options: &PullOptions,
    progress: &dyn Progress,
) -> Result<Pulled> {
    let platform = options.platform.clone().unwrap_or_else(Platform::host);
    trust::allow(&Transport::Registry(name.clone()), options)?;
    let fetched = client.image(name, &platform)?;
    check_types(&fetched.image)?;
    let config_bytes = configuration(context, client, name, &fetched)?;
    let config = Config::parse(&config_bytes)?;
    let diff_ids = pair(&config, fetched.image.layers.len())?;
    let store = context.layers()?;
    let layers: Vec<_> = fetched.image.layers.iter().zip(diff_ids).collect();
    let tables = chunked::fetch(store, client, name, &layers, progress);
    let wanted = wanted(client, name, store, &fetched, diff_ids);
    // A name with a digest stays pinned to it; its tag said nothing.
    let own = name.digest.as_ref().map_or_else(|| name.clone(), |digest| name.with_digest(digest));
    let committed = fetch::commit(context, &wanted, progress, &|infos| {
        Ok(NewImage {
            config: config_bytes.clone(),
            manifest: fetched.manifest.bytes.clone(),
            manifest_type: fetched.manifest.media_type.clone(),
            size: infos.iter().map(|info| info.size).sum(),
            names: vec![own.clone()],
            digests: vec![fetched.manifest.digest.clone(), fetched.top.digest.clone()],
        })
    })?;
    chunked::remember(store, &tables);
    Ok(Pulled {
        id: committed.id,
        name: own.full(),
        fetched: true,
        warnings: mismatch(&config, &platform, name).into_iter().collect(),
    })
}

/// The configuration: from the store when it has the image, since its id is the configuration's digest.
fn configuration(
    context: &Context,
    client: &Client,
    name: &Reference,
    fetched: &FetchedImage,
) -> Result<Vec<u8>> {
    let wanted = &fetched.image.config;
    if let Ok(bytes) = context.images().get(&wanted.digest).and_then(|image| image.config_bytes())
        && Digest::of(&bytes) == wanted.digest
    {
        return Ok(bytes);
    }
    client.small_blob(name, &wanted.digest, wanted.size)
}

fn wanted<'a>(
    client: &'a Client,
    name: &'a Reference,
    store: &'a layer::Store,
    fetched: &'a FetchedImage,
    diff_ids: &[Digest],
) -> Vec<Wanted<'a>> {
    let layers = fetched.image.layers.iter().zip(diff_ids);
    layers
        .map(|(layer, diff_id)| {
            let blob =
                Blob { digest: layer.digest.clone(), media_type: layer.media_type.clone(), size: layer.size };
            let origin = Download { client, name, blob: blob.clone(), store, state: Arc::default() };
            Wanted { diff_id: diff_id.clone(), blob: Some(blob), origin: Box::new(origin) }
        })
        .collect()
}

fn mismatch(config: &Config, platform: &Platform, name: &Reference) -> Option<String> {
    let variant = Some(config.variant.clone()).filter(|variant| !variant.is_empty());
    let own = Platform { os: config.os.clone(), arch: config.architecture.clone(), variant };
    let silent = own.os.is_empty() || own.arch.is_empty() || platform.rank(&own).is_some();
    (!silent).then(|| format!("`{name}` is for {own}, not for {platform}"))
}
