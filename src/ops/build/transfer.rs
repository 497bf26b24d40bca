//! `COPY` and `ADD`.

use super::cache::{Inputs, key};
use super::copy::{self, Destination, Known, PlaceOptions, Placed, Scan};
use super::fetched::{self, Elsewhere};
use super::origin::{self, Named, Tree};
use super::stage::{Identity, Stage};
use crate::base::digest::Digest;
use crate::base::error::{Context, Result, bail};
use crate::container::parse::user::{self, Who};
use crate::dockerfile::action::{Transfer, TransferSource};
use crate::dockerfile::chmod::Chmod;
use crate::dockerfile::ignore::Ignore;
use crate::dockerfile::{Action, Step};
use crate::ops::spec;
use crate::sys::rootdir::RootDir;

/// What is to be found.
pub(super) struct Wanted<'a> {
    /// `--from`; `None` is the context.
    pub(super) from: Option<&'a str>,
    /// Paths, globs, files given in place.
    pub(super) sources: &'a [TransferSource],
    /// There are others beside them.
    pub(super) several: bool,
    /// `--exclude`
    pub(super) exclude: &'a Ignore,
    /// `--parents`
    pub(super) parents: bool,
    /// `--chmod`
    pub(super) chmod: Option<&'a Chmod>,
}

/// What sources bring.
pub(super) struct Content {
    /// `file:HEX`, `dir:HEX` or `multi:HEX`.
    pub(super) digest: String,
    /// What is in it, for directories of the host.
    pub(super) inputs: Inputs,
    /// What was opened and found, unless the digest was known.
    found: Option<(Tree, Scan)>,
}

/// Does the step.
pub(super) fn step(
    stage: &mut Stage<'_>,
    step: &Step,
    action: &Action,
    what: &Transfer,
    add: bool,
) -> Result<()> {
    let exclude = Ignore::from_patterns(&what.exclude)?;
    let elsewhere = if add { fetched::look(stage, what)? } else { Vec::new() };
    let is_local = |source: &&TransferSource| !(add && fetched::is_remote(source));
    let local: Vec<TransferSource> = what.sources.iter().filter(is_local).cloned().collect();
    let wanted = Wanted {
        from: what.from.as_deref(),
        sources: &local,
        several: what.sources.len() > 1,
        exclude: &exclude,
        parents: what.parents,
        chmod: what.chmod.as_ref(),
    };
    let content = match local.is_empty() {
        true => Content { digest: String::new(), inputs: Inputs::default(), found: None },
        false => content(stage, &wanted)?,
    };
    let keys = elsewhere.iter().map(Elsewhere::key);
    let identity = Identity {
        parts: [format!("{action:?}"), content.digest.clone()].into_iter().chain(keys).collect(),
        inputs: content.inputs.clone(),
        content: called(&content, &elsewhere),
        alone: what.link && what.chown.as_deref().is_none_or(is_numeric),
    };
    if stage.reuse(step, &identity)? {
        return Ok(());
    }
    let scan = match content.found {
        _ if local.is_empty() => None,
        Some((_, scan)) => Some(scan),
        None => Some(wanted.scan(&origin::open(stage, what.from.as_deref())?, None)?),
    };
    let mut space = if identity.alone { stage.space.open_alone()? } else { stage.space.open()? };
    space.note_mounts(std::iter::empty())?;
    let shown = |text: &str| format!("resolve `--chown={text}`");
    let chown = what.chown.as_deref();
    let chown = chown.map(|text| owner(&space.root, text).with_context(|| shown(text))).transpose()?;
    let to = Destination::new(&stage.config.config.working_dir, &what.dest);
    let options = PlaceOptions {
        unpack: add && what.unpack != Some(false),
        ignore_chown_errors: stage.job.ops.stage().is_some_and(|stage| stage.single),
    };
    if let Some(mut scan) = scan {
        chown.into_iter().for_each(|owner| scan.give_to(owner));
        report(stage, &copy::place(&scan, &space.root, &to, &options)?)?;
    }
    for source in elsewhere {
        report(stage, &source.place(stage, what, chown, &space.root, &to, options)?)?;
    }
    stage.finished(step, &identity, Some(space))
}

/// What history calls the content of a step.
fn called(content: &Content, elsewhere: &[Elsewhere]) -> String {
    if elsewhere.is_empty() {
        return content.digest.clone();
    }
    let keys: Vec<String> = elsewhere.iter().map(Elsewhere::key).collect();
    let sort = if elsewhere.len() == 1 && content.digest.is_empty() { "file" } else { "multi" };
    format!("{sort}:{}", key(&[&content.digest, &keys.join("\n")]).hex())
}

/// Says what is odd about what was copied; what changed meanwhile must not be remembered as something else.
fn report(stage: &Stage<'_>, placed: &Placed) -> Result<()> {
    if let Some(path) = placed.changed.first() {
        bail!("`{}` changed while it was being copied", path.display());
    }
    for path in &placed.skipped {
        stage.voice.warn(&format!("the device `{}` cannot be made here and is left out", path.display()));
    }
    Ok(())
}

/// Whether an owner needs no accounts of the image.
fn is_numeric(text: &str) -> bool {
    user::parse(text).is_ok_and(|spec| {
        matches!(spec.user, Who::Id(_)) && spec.group.is_none_or(|group| matches!(group, Who::Id(_)))
    })
}

/// The ids of `--chown`: a name brings its login group, a bare number is also the group.
fn owner(root: &RootDir, text: &str) -> Result<(u32, u32)> {
    let parsed = user::parse(text)?;
    let identity = spec::user::identity(root, text, &[])?;
    match (parsed.user, parsed.group) {
        (Who::Id(uid), None) => Ok((uid, uid)),
        _ => Ok((identity.uid, identity.gid)),
    }
}

impl Wanted<'_> {
    /// Finds and digests it.
    fn scan(&self, tree: &Tree, known: Option<&mut Known>) -> Result<Scan> {
        let request = copy::Request {
            origin: &tree.root,
            called: &tree.called,
            sources: self.sources,
            several: self.several,
            ignore: tree.ignore.as_ref(),
            exclude: self.exclude,
            parents: self.parents,
            chown: None,
            keep_owners: tree.mount.is_some(),
            chmod: self.chmod,
        };
        copy::scan(&request, known)
    }

    /// Names it, where it comes out of these layers.
    fn name(&self, layers: &[Digest]) -> Digest {
        let ids: Vec<&str> = layers.iter().map(Digest::as_str).collect();
        let words = format!("{:?} {:?} {} {:?}", self.sources, self.exclude, self.parents, self.chmod);
        key(&["content", &ids.join(" "), &words])
    }
}

/// Digests what sources bring. What is in layers is digested once.
pub(super) fn content(stage: &mut Stage<'_>, wanted: &Wanted<'_>) -> Result<Content> {
    let named = origin::find(stage, wanted.from)?;
    let memo = match &named {
        Named::Layers { layers, .. } => Some(wanted.name(layers)),
        Named::Directory(_) => None,
    };
    if let Some(digest) = memo.as_ref().and_then(|memo| stage.job.cache.content(memo)) {
        return Ok(Content { digest, inputs: Inputs::default(), found: None });
    }
    let tree = named.open(stage)?;
    let scan = match tree.lasting {
        false => wanted.scan(&tree, None)?,
        true => {
            let mut known = Known::open(&stage.job.ops.roots.root, &tree.root)?;
            let scan = wanted.scan(&tree, Some(&mut known))?;
            known.save()?;
            scan
        }
    };
    let digest = format!("{}:{}", scan.sort(), scan.digest().hex());
    let mut inputs = Inputs::default();
    match memo {
        Some(memo) => stage.job.cache.keep_content(&memo, &digest)?,
        None => inputs.files = scan.inventory(),
    }
    Ok(Content { digest, inputs, found: Some((tree, scan)) })
}
