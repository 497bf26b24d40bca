//! What a build reads: its context and its Dockerfile.

use std::path::{Path, PathBuf};

use super::BuildOptions;
use super::origin::Tree;
use crate::base::error::{Context, Explain, Kind, Result, fail};
use crate::base::fs;
use crate::dockerfile::ignore::Ignore;
use crate::ops::create::Caller;
use crate::sys::rootdir::RootDir;

/// The longest Dockerfile or ignore file that is read.
const LIMIT: u64 = 4 << 20;

/// See the module.
pub(super) struct Input {
    context: Option<PathBuf>,
    ignore: Ignore,
    /// What messages call the Dockerfile.
    pub(super) name: String,
    /// Its text.
    pub(super) text: String,
}

impl Input {
    /// Finds context and Dockerfile.
    pub(super) fn find(options: &BuildOptions, caller: &Caller) -> Result<Input> {
        let context = caller.cwd.join(&options.context);
        if !context.is_dir() {
            return Err(fail(Kind::Usage, format!("the context `{}` is not a directory", context.display())));
        }
        let (name, path) = match options.files.first() {
            None => usual(&context)?,
            Some(file) => (file.clone(), caller.cwd.join(file)),
        };
        let text = String::from_utf8(fs::read_limited(&path, LIMIT)?)
            .with_context(|| format!("`{}` is not text", path.display()))?;
        let ignore = ignore(options, caller, &context, &path)?;
        Ok(Input { context: Some(context), ignore, name, text })
    }

    /// The context, opened.
    pub(super) fn tree(&self) -> Result<Tree> {
        let Some(path) = &self.context else {
            return Err(fail(Kind::Usage, "the build has no context").hint("name a directory, such as `.`"));
        };
        let root = RootDir::open(path).with_context(|| format!("open `{}`", path.display()))?;
        Ok(Tree {
            root,
            called: "the build context".into(),
            ignore: Some(self.ignore.clone()),
            layers: Vec::new(),
            mount: None,
        })
    }

    /// A context that `--build-context` names, opened.
    pub(super) fn named(&self, name: &str) -> Result<Tree> {
        Err(fail(Kind::Usage, format!("build context `{name}` is not an image")))
    }
}

fn usual(context: &Path) -> Result<(String, PathBuf)> {
    let found = ["Containerfile", "Dockerfile"].into_iter().find(|name| context.join(name).is_file());
    match found {
        Some(name) => Ok((name.to_owned(), context.join(name))),
        None => {
            let message = format!("`{}` has no Containerfile and no Dockerfile", context.display());
            Err(fail(Kind::Usage, message).hint("name the file with `-f`"))
        }
    }
}

fn ignore(options: &BuildOptions, caller: &Caller, context: &Path, file: &Path) -> Result<Ignore> {
    if let Some(path) = &options.ignore_file {
        return parse(&caller.cwd.join(path), true).map(Option::unwrap_or_default);
    }
    let mut beside = file.as_os_str().to_owned();
    beside.push(".dockerignore");
    for path in [PathBuf::from(beside), context.join(".containerignore"), context.join(".dockerignore")] {
        if let Some(ignore) = parse(&path, false)? {
            return Ok(ignore);
        }
    }
    Ok(Ignore::default())
}

fn parse(path: &Path, needed: bool) -> Result<Option<Ignore>> {
    if !needed && !path.is_file() {
        return Ok(None);
    }
    let text = fs::read_limited(path, LIMIT)?;
    let ignore = Ignore::parse(&String::from_utf8_lossy(&text));
    ignore.with_context(|| format!("read `{}`", path.display())).map(Some)
}
