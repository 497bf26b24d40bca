//! `ADD` of what is elsewhere: URLs and repositories.

use super::copy::{self, Destination, PlaceOptions, Placed};
use super::sources::git::{Checkout, Commit, GitUrl, is_git};
use super::sources::url::{self, Downloaded, Remote, is_url};
use super::stage::Stage;
use crate::base::error::{Context, Kind, Result, fail};
use crate::base::text::printable;
use crate::dockerfile::action::{Transfer, TransferSource};
use crate::dockerfile::ignore::Ignore;
use crate::sys::rootdir::RootDir;

/// A source that was asked what it is now.
pub(super) enum Elsewhere {
    Url(Remote),
    Git(GitUrl, Commit),
}

/// The same at hand.
enum Here {
    File { file: Downloaded, name: String },
    Tree(Checkout),
}

/// Asks for the sources of an `ADD` that are elsewhere, in order.
pub(super) fn look(stage: &Stage<'_>, what: &Transfer) -> Result<Vec<Elsewhere>> {
    let words = what.sources.iter().filter_map(|source| match source {
        TransferSource::Path(word) if is_remote(source) => Some(word),
        _ => None,
    });
    let found: Vec<Elsewhere> = words.map(|word| one(stage, what, word)).collect::<Result<_>>()?;
    if what.checksum.is_some() && (found.len() != 1 || what.sources.len() != 1) {
        return Err(fail(Kind::Usage, "`--checksum` is for one URL or one repository"));
    }
    Ok(found)
}

/// Whether a source is fetched.
pub(super) fn is_remote(source: &TransferSource) -> bool {
    matches!(source, TransferSource::Path(word) if is_url(word) || is_git(word))
}

fn one(stage: &Stage<'_>, what: &Transfer, word: &str) -> Result<Elsewhere> {
    if is_git(word) {
        let mut url = GitUrl::parse(word)?;
        if let Some(commit) = &what.checksum {
            url = url.with_checksum(commit)?;
        }
        url.keep_git_dir |= what.keep_git_dir;
        let commit = url.resolve()?;
        return Ok(Elsewhere::Git(url, commit));
    }
    let checksum = what.checksum.as_deref().map(str::parse).transpose().context("read `--checksum`")?;
    let root = &stage.job.ops.roots.root;
    url::look(&stage.job.input.client, root, word, checksum.as_ref()).map(Elsewhere::Url)
}

impl Elsewhere {
    /// What of it belongs in the key of a step.
    pub(super) fn key(&self) -> String {
        match self {
            Elsewhere::Url(remote) => remote.key(),
            Elsewhere::Git(url, commit) => url.key(commit),
        }
    }

    fn fetch(self, stage: &Stage<'_>) -> Result<Here> {
        let root = &stage.job.ops.roots.root;
        match self {
            Elsewhere::Url(remote) => {
                let name = remote.name.clone();
                Ok(Here::File { file: remote.fetch(&stage.job.input.client, root)?, name })
            }
            Elsewhere::Git(url, commit) => Ok(Here::Tree(url.fetch(&commit, root)?)),
        }
    }

    /// Fetches it and puts it in its place.
    pub(super) fn place(
        self,
        stage: &Stage<'_>,
        what: &Transfer,
        chown: Option<(u32, u32)>,
        root: &RootDir,
        to: &Destination,
        options: PlaceOptions,
    ) -> Result<Placed> {
        let here = self.fetch(stage)?;
        let (origin, word, called) = match &here {
            Here::File { file, name } => {
                let dir = RootDir::open(file.dir()).context("open a staging directory")?;
                (dir, copy::literal(name), format!("`{}`", printable(name)))
            }
            Here::Tree(checkout) => {
                let root = checkout.root.try_clone().context("duplicate a descriptor")?;
                (root, "/".to_owned(), "the repository".to_owned())
            }
        };
        let exclude = Ignore::from_patterns(&what.exclude)?;
        let request = copy::Request {
            origin: &origin,
            called: &called,
            sources: &[TransferSource::Path(word)],
            several: what.sources.len() > 1,
            ignore: None,
            exclude: &exclude,
            parents: false,
            chown,
            keep_owners: false,
            chmod: what.chmod.as_ref(),
        };
        let scan = copy::scan(&request, None)?;
        let unpack = matches!(here, Here::File { .. }) && what.unpack == Some(true);
        copy::place(&scan, root, to, &PlaceOptions { unpack, ..options })
    }
}
