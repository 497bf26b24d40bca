//! `--output`: what becomes of the result beside an image of the store.

use std::io::{BufWriter, IsTerminal, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::copy::{self, Destination, PlaceOptions};
use crate::base::digest::Digest;
use crate::base::error::{Context, Explain, Kind, Result, bail, fail};
use crate::base::fs;
use crate::base::text::printable;
use crate::base::words::csv_fields;
use crate::dockerfile::action::TransferSource;
use crate::dockerfile::ignore::Ignore;
use crate::image::archive::Format;
use crate::layer::{MountRequest, TreeTar};
use crate::ops::context::Context as Ops;
use crate::ops::image::{self, SaveOptions};
use crate::ops::progress::Progress;
use crate::registry::Reference;
use crate::sys::rootdir::RootDir;

/// One `--output`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// An image of the store, under these names beside those of `-t`.
    Image(Vec<Reference>),
    /// The root file system in a directory.
    Local(PathBuf),
    /// The root file system as a tar; `None` is standard output.
    Tar(Option<PathBuf>),
    /// An archive of the image; `None` is standard output.
    Archive {
        /// `oci` or `docker`.
        format: Format,
        /// The file.
        dest: Option<PathBuf>,
        /// Names beside those of `-t`.
        names: Vec<Reference>,
    },
}

impl Output {
    /// Parses `TYPE[,KEY=VALUE…]`, or a directory, or `-` for a tar on standard output.
    pub fn parse(text: &str) -> Result<Output> {
        let usage = |message: String| fail(Kind::Usage, message);
        if text == "-" {
            return Ok(Output::Tar(None));
        }
        if !text.contains('=') {
            return match text {
                "" => Err(usage("an output is a directory, or `type=…,dest=…`".into())),
                _ => Ok(Output::Local(text.into())),
            };
        }
        let (mut kind, mut dest, mut names) = (None, None, Vec::new());
        for field in csv_fields(text)? {
            let Some((key, value)) = field.split_once('=') else {
                return Err(usage(format!("`{}` is no `key=value`", printable(&field))));
            };
            match key {
                "type" => kind = Some(value.to_owned()),
                "dest" if !value.is_empty() => dest = Some(value.to_owned()),
                "name" => names.push(Reference::parse(value)?.or_latest()),
                "tar" if matches!(value, "true" | "1") => {}
                _ => return Err(usage(format!("`{}` of an output is not supported", printable(&field)))),
            }
        }
        let Some(kind) = kind else { return Err(usage("an output needs a `type`".into())) };
        if matches!(kind.as_str(), "local" | "tar") && !names.is_empty() {
            return Err(usage(format!("an output of type `{kind}` has no name")));
        }
        let file = dest.as_ref().filter(|dest| *dest != "-").map(PathBuf::from);
        let archive = |format| Output::Archive { format, dest: file.clone(), names: names.clone() };
        match kind.as_str() {
            "local" => match file {
                Some(dir) => Ok(Output::Local(dir)),
                None => Err(usage("an output of type `local` needs a directory: `dest=…`".into())),
            },
            "tar" => Ok(Output::Tar(file)),
            "oci" => Ok(archive(Format::OciArchive)),
            "docker" if dest.is_none() => Ok(Output::Image(names)), // into the store, as docker has it
            "docker" => Ok(archive(Format::DockerArchive)),
            "image" if dest.is_none() => Ok(Output::Image(names)),
            "registry" => {
                Err(usage("an output of type `registry` is not supported".into()).hint("build, then `push`"))
            }
            _ => Err(usage(format!("there is no output of type `{}`", printable(&kind)))),
        }
    }

    /// Whether standard output is for the data: then nothing else may be written to it.
    pub fn takes_stdout(&self) -> bool {
        matches!(self, Output::Tar(None) | Output::Archive { dest: None, .. })
    }

    /// Names that the image gets because of it.
    pub fn names(&self) -> &[Reference] {
        match self {
            Output::Image(names) | Output::Archive { names, .. } => names,
            Output::Local(_) | Output::Tar(_) => &[],
        }
    }

    /// Fails early where it could not be written in the end.
    pub fn check(&self) -> Result<()> {
        if self.takes_stdout() && std::io::stdout().is_terminal() {
            return Err(fail(Kind::Usage, "refusing to write an archive to a terminal")
                .hint("name a file with `dest=…`, or redirect standard output"));
        }
        if let Output::Local(dir) = self
            && dir.exists()
            && !dir.is_dir()
        {
            bail!("the output `{}` is no directory", dir.display());
        }
        Ok(())
    }

    /// Writes the image `id`, whose names are `names`. Relative paths count from `cwd`.
    pub fn write(
        &self,
        ops: &Ops,
        cwd: &Path,
        id: &Digest,
        names: &[Reference],
        progress: &dyn Progress,
    ) -> Result<()> {
        match self {
            Output::Image(_) => Ok(()),
            Output::Local(dir) => local(ops, id, &cwd.join(dir)),
            Output::Tar(dest) => {
                into(dest.as_ref().map(|dest| cwd.join(dest)).as_deref(), |out| tar(ops, id, out))
            }
            Output::Archive { format, dest, .. } => {
                let output = dest.as_ref().map(|dest| cwd.join(dest));
                let options = SaveOptions { format: *format, output, ..SaveOptions::default() };
                let mut all: Vec<String> = names.iter().map(Reference::full).collect();
                if all.is_empty() {
                    all.push(id.hex().to_owned());
                }
                image::save(ops, &all, &options, progress).map(drop)
            }
        }
    }
}

/// Mounts the image read-only.
fn mount(ops: &Ops, id: &Digest) -> Result<OwnedFd> {
    let image = ops.images().get(id)?;
    ops.layers()?.mount(&MountRequest { layers: &image.layers, ..MountRequest::default() })
}

/// Copies the root file system into a directory of the caller's. An ordinary user owns all of it in the end.
fn local(ops: &Ops, id: &Digest, dir: &Path) -> Result<()> {
    let mounted = mount(ops, id)?;
    fs::create_dir_all_with(dir, 0o777)?;
    let to = RootDir::open(dir).with_context(|| format!("open `{}`", dir.display()))?;
    let origin = RootDir::from_fd(mounted.try_clone().context("duplicate a descriptor")?);
    let sources = [TransferSource::Path("/".into())];
    let exclude = Ignore::default();
    let request = copy::Request {
        origin: &origin,
        called: "the result",
        sources: &sources,
        several: false,
        ignore: None,
        exclude: &exclude,
        parents: false,
        chown: ops.roots.rootless.then_some((0, 0)),
        keep_owners: true,
        chmod: None,
    };
    let scan = copy::scan(&request, None)?;
    let options = PlaceOptions::default();
    copy::place(&scan, &to, &Destination::new("/", "/"), &options)
        .with_context(|| format!("write the result to `{}`", dir.display()))?;
    Ok(())
}

/// Writes the root file system as a tar.
fn tar(ops: &Ops, id: &Digest, out: &mut dyn Write) -> Result<()> {
    let mounted = mount(ops, id)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", mounted.as_fd().as_raw_fd()));
    let mut tar = TreeTar::new(&path, None, out)?;
    tar.everything(&|_| true)?;
    tar.finish()
}

/// Writes to a file, which does not stay half-made, or to standard output.
fn into(path: Option<&Path>, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    const BUFFER: usize = 256 << 10;
    let Some(path) = path else {
        let mut out = BufWriter::with_capacity(BUFFER, std::io::stdout().lock());
        return write(&mut out).and_then(|()| out.flush().context("write the archive"));
    };
    let file = fs::create(path)?;
    let regular = file.metadata().is_ok_and(|data| data.is_file());
    let mut out = BufWriter::with_capacity(BUFFER, file);
    let written = write(&mut out).and_then(|()| out.flush().context("write the archive"));
    if written.is_err() && regular {
        let _ = fs::remove_file(path); // the first error is the one to tell
    }
    written.with_context(|| format!("write `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_parsed() {
        let path = |text: &str| Some(PathBuf::from(text));
        for (text, expected) in [
            ("-", Output::Tar(None)),
            ("out/dir", Output::Local("out/dir".into())),
            ("type=local,dest=x", Output::Local("x".into())),
            ("type=tar,dest=x.tar", Output::Tar(path("x.tar"))),
            ("type=tar,dest=-", Output::Tar(None)),
            ("type=tar", Output::Tar(None)),
            (
                "type=oci,dest=x",
                Output::Archive { format: Format::OciArchive, dest: path("x"), names: Vec::new() },
            ),
            (
                "type=docker,dest=-",
                Output::Archive { format: Format::DockerArchive, dest: None, names: Vec::new() },
            ),
            ("type=docker", Output::Image(Vec::new())),
            ("type=image", Output::Image(Vec::new())),
        ] {
            assert_eq!(Output::parse(text).unwrap(), expected, "{text}");
        }
        for bad in [
            "",
            "dest=x",
            "type=local",
            "type=nope,dest=x",
            "type=registry",
            "type=local,dest=x,name=y",
            "type=tar,x=y",
        ] {
            assert!(Output::parse(bad).is_err(), "{bad}");
        }
    }
}
