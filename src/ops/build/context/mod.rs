//! Build contexts: what `PATH`, `-`, URLs and `--build-context` name, the Dockerfiles and the ignore list.
//!
//! ```text
//! file     where Dockerfiles are            ignore   which list of what is left out counts
//! ```
//!
//! What is not a directory of the caller is unpacked into staging, and goes away with the [`BuildContext`].

mod file;
mod ignore;
#[cfg(test)]
mod tests;

use std::io::Read;
use std::path::{Path, PathBuf};

use super::copy::is_tar_start;
use super::sources::git::{Checkout, GitUrl, is_git};
use super::sources::url::is_url;
use crate::base::digest::Digest;
use crate::base::error::{Context, Kind, Result, bail, fail};
use crate::base::text::printable;
use crate::dockerfile::ignore::Ignore;
use crate::layer::extract::{Options, Purpose};
use crate::layer::{Staging, codec, extract_tree};
use crate::registry::Client;
use crate::sys::rootdir::RootDir;

pub use file::Text;

/// The largest Dockerfile.
const FILE_LIMIT: u64 = 4 << 20;
/// What is looked at to tell a tar from a Dockerfile.
const START: usize = 512;

/// What a build may copy from.
#[derive(Debug)]
pub struct BuildContext {
    /// Its top.
    pub root: RootDir,
    /// What is left out of it.
    pub ignore: Ignore,
    /// What messages call it.
    pub called: String,
    /// It lies in a directory of the caller, whose files stay: their digests are worth remembering.
    pub lasting: bool,
    /// Its path as the caller knows it; `None` in staging.
    path: Option<PathBuf>,
    _kept: Vec<Kept>,
}

/// What goes away with a context.
#[derive(Debug)]
enum Kept {
    Staging { _held: Staging },
    Checkout { _held: Checkout },
}

/// Where contexts are had from.
pub struct Finder<'a> {
    /// Downloads.
    pub client: &'a Client,
    /// The root of the store, for staging.
    pub root: &'a Path,
    /// The caller's directory.
    pub cwd: &'a Path,
    /// Standard input.
    pub stdin: &'a mut dyn FnMut() -> Box<dyn Read + Send>,
}

/// What was typed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// The context; empty when none was given.
    pub context: &'a str,
    /// `-f`, in order.
    pub files: &'a [String],
    /// `--ignorefile`
    pub ignore_file: Option<&'a Path>,
}

/// A context with its Dockerfiles.
#[derive(Debug)]
pub struct Opened {
    /// The context.
    pub context: BuildContext,
    /// The Dockerfiles in order of `-f`; at least one.
    pub files: Vec<Text>,
}

/// Opens the main context of a build.
pub fn open(finder: &mut Finder<'_>, wanted: &Wanted<'_>) -> Result<Opened> {
    let from_stdin = wanted.files.iter().filter(|file| *file == "-").count();
    if from_stdin + usize::from(wanted.context == "-") > 1 {
        return Err(fail(Kind::Usage, "only one of the context and the files can be standard input"));
    }
    let (mut context, own) = find(finder, wanted)?;
    let files = match own {
        Some(text) if wanted.files.is_empty() => vec![text],
        Some(_) => {
            return Err(fail(Kind::Usage, "the context is a Dockerfile itself, so that `-f` has no meaning"));
        }
        None => file::read(finder, &context, wanted.files)?,
    };
    context.ignore = ignore::find(finder.cwd, &context, wanted, &files)?;
    Ok(Opened { context, files })
}

/// The context, and the Dockerfile if it is nothing but that.
fn find(finder: &mut Finder<'_>, wanted: &Wanted<'_>) -> Result<(BuildContext, Option<Text>)> {
    match wanted.context {
        "-" => {
            let stream = (finder.stdin)();
            of_stream(finder, stream, "standard input")
        }
        text if is_git(text) => Ok((of_git(finder, text)?, None)),
        text if is_url(text) => of_url(finder, text),
        text => Ok((of_directory(&directory(finder.cwd, text, wanted.files))?, None)),
    }
}

/// The directory that is meant: what was typed, or where the first `-f` lies, or the caller's.
fn directory(cwd: &Path, text: &str, files: &[String]) -> PathBuf {
    if !text.is_empty() {
        return cwd.join(text.strip_prefix("path:").unwrap_or(text));
    }
    let local = files.iter().find(|file| *file != "-" && !is_url(file));
    let beside = local.and_then(|file| Path::new(file).parent()).map(|parent| cwd.join(parent));
    beside.unwrap_or_else(|| cwd.to_owned())
}

/// A directory of the caller.
fn of_directory(path: &Path) -> Result<BuildContext> {
    let shown = printable(&path.to_string_lossy()).into_owned();
    let root = RootDir::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotADirectory => fail(
            Kind::Usage,
            format!("the context `{shown}` is no directory; a Dockerfile is given with -f, an archive by `- < FILE`"),
        ),
        _ => crate::base::error::Error::new(error).context(format!("open the context `{shown}`")),
    })?;
    Ok(BuildContext::new(root, "the build context", Some(path.to_owned()), Vec::new()))
}

fn of_git(finder: &Finder<'_>, text: &str) -> Result<BuildContext> {
    let url = GitUrl::parse(text)?;
    let checkout = url.fetch(&url.resolve()?, finder.root)?;
    let root = checkout.root.try_clone().context("duplicate a descriptor")?;
    let called = format!("`{}`", printable(text));
    Ok(BuildContext::new(root, &called, None, vec![Kept::Checkout { _held: checkout }]))
}

fn of_url(finder: &Finder<'_>, url: &str) -> Result<(BuildContext, Option<Text>)> {
    let download = finder.client.download(url, None)?.context("an answer without a file")?;
    of_stream(finder, download.body, &format!("`{}`", printable(url)))
}

/// A tar of any compression is unpacked; anything else is a Dockerfile without a context.
fn of_stream(
    finder: &Finder<'_>,
    stream: Box<dyn Read + Send>,
    called: &str,
) -> Result<(BuildContext, Option<Text>)> {
    let staging = Staging::new(finder.root)?;
    let (_, mut plain) = codec::decoder_any(stream).with_context(|| format!("read {called}"))?;
    let mut start = Vec::new();
    plain.by_ref().take(START as u64).read_to_end(&mut start).with_context(|| format!("read {called}"))?;
    let is_tar = is_tar_start(&start);
    let mut whole = std::io::Cursor::new(start).chain(plain);
    let root = RootDir::open(staging.path()).context("open a staging directory")?;
    let text = if is_tar {
        let options = unpacking();
        let root = root.try_clone().context("duplicate a descriptor")?;
        extract_tree(root, options, &mut whole).with_context(|| format!("unpack {called}"))?;
        None
    } else {
        Some(Text::read(called, &mut whole)?)
    };
    let context = BuildContext::new(root, called, None, vec![Kept::Staging { _held: staging }]);
    Ok((context, text))
}

/// Everything belongs to the caller: the build gives files their owners.
fn unpacking() -> Options {
    let me = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    Options { purpose: Purpose::Tree, owner: Some(me), chmod: None, ignore_chown_errors: false }
}

/// What `--build-context NAME=VALUE` can name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// A directory of the caller.
    Directory(String),
    /// An image, by its reference.
    Image(String),
    /// An image of an OCI layout: its directory, and a tag or digest.
    OciLayout(String, Option<String>),
    /// A repository, archive or file elsewhere.
    Remote(String),
}

impl Named {
    /// Parses the value; without a scheme it is a directory.
    pub fn parse(value: &str) -> Result<Named> {
        if value.is_empty() {
            return Err(fail(Kind::Usage, "a build context is `NAME=VALUE`"));
        }
        if is_git(value) || is_url(value) {
            return Ok(Named::Remote(value.to_owned()));
        }
        let Some((scheme, rest)) = value.split_once(':') else {
            return Ok(Named::Directory(value.to_owned()));
        };
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        match scheme {
            "docker-image" | "container-image" | "docker" => Ok(Named::Image(rest.to_owned())),
            "oci-layout" => {
                let (path, name) = split_layout(rest)?;
                Ok(Named::OciLayout(path.to_owned(), name.map(str::to_owned)))
            }
            "local" | "path" => Ok(Named::Directory(rest.to_owned())),
            _ if value.contains("://") => Err(fail(
                Kind::Usage,
                format!("`{}` is no build context: there is no `{}://`", printable(value), printable(scheme)),
            )),
            _ => Ok(Named::Directory(value.to_owned())),
        }
    }

    /// Opens what is no image.
    pub fn open(&self, finder: &Finder<'_>, name: &str) -> Result<BuildContext> {
        let mut context = match self {
            Named::Directory(path) => of_directory(&finder.cwd.join(path))?,
            Named::Remote(url) if is_git(url) => of_git(finder, url)?,
            Named::Remote(url) => remote_file(finder, url)?,
            Named::Image(_) | Named::OciLayout(..) => bail!("build context `{name}` is an image"),
        };
        context.called = format!("build context `{}`", printable(name));
        context.ignore = ignore::own(&context)?;
        Ok(context)
    }
}

/// The path and the tag or digest of `PATH[:TAG][@DIGEST]`.
fn split_layout(text: &str) -> Result<(&str, Option<&str>)> {
    if let Some((path, digest)) = text.rsplit_once('@') {
        let path = path.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(path, |(path, _)| path);
        digest.parse::<Digest>().with_context(|| format!("read `oci-layout://{}`", printable(text)))?;
        return Ok((path, Some(digest)));
    }
    Ok(match text.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')) {
        Some((path, tag)) => (path, Some(tag)),
        None => (text, None),
    })
}

/// An archive is unpacked, another file is the only one of the context.
fn remote_file(finder: &Finder<'_>, url: &str) -> Result<BuildContext> {
    let (context, text) = of_url(finder, url)?;
    match text {
        None => Ok(context),
        Some(_) => bail!("`{}` is no archive", printable(url)),
    }
}

impl BuildContext {
    fn new(root: RootDir, called: &str, path: Option<PathBuf>, kept: Vec<Kept>) -> BuildContext {
        let lasting = path.is_some();
        BuildContext {
            root,
            ignore: Ignore::default(),
            called: called.to_owned(),
            lasting,
            path,
            _kept: kept,
        }
    }
}
