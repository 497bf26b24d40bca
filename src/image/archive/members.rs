//! The members of an archive of images, by exact name: a tar file that was indexed once, or a directory.
//!
//! Nothing is unpacked and no link is followed, but for the links inside the archive that old Dockers wrote for
//! layers that two images share: one hop, to a regular member (CVE-2024-3727 and its class).

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use super::scan;
use crate::base::digest::Digest;
use crate::base::error::{Context, Result, bail};
use crate::sys::rootdir::RootDir;

/// Where a member's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Member {
    /// In the tar, from here on.
    File { offset: u64, size: u64 },
    /// A symbolic or hard link to this text.
    Link { target: String, hard: bool },
}

/// An opened archive.
#[derive(Debug)]
pub enum Members {
    /// A tar.
    Tar {
        /// The tar, not compressed.
        file: Arc<File>,
        /// Its members.
        index: HashMap<String, MemberAt>,
    },
    /// A directory of somebody else.
    Dir(RootDir),
}

/// A member of a tar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberAt(pub(super) Member);

impl Members {
    /// Indexes a tar that is not compressed.
    pub fn tar(file: File) -> Result<Members> {
        let file = Arc::new(file);
        let size = file.metadata().context("stat archive")?.len();
        let index = scan::index(&file, size).context("read archive")?;
        Ok(Members::Tar { file, index })
    }

    /// Opens a directory.
    pub fn dir(path: &Path) -> Result<Members> {
        let root = RootDir::open(path).with_context(|| format!("open directory `{}`", path.display()))?;
        Ok(Members::Dir(root))
    }

    /// Whether there is a member of this name.
    pub fn has(&self, name: &str) -> bool {
        match self {
            Members::Tar { index, .. } => index.contains_key(name),
            Members::Dir(root) => root.exists(Path::new(name)).unwrap_or(false),
        }
    }

    /// Opens a member; gives its size too.
    pub fn open(&self, name: &str) -> Result<(Box<dyn Read + Send>, u64)> {
        match self {
            Members::Tar { file, index } => {
                let (offset, size) = locate(index, name)?;
                let section = Section { file: file.clone(), at: offset, end: offset + size };
                Ok((Box::new(section), size))
            }
            Members::Dir(root) => {
                let file = open_beneath(root, name)?;
                let size = file.metadata().with_context(|| format!("stat `{name}`"))?.len();
                Ok((Box::new(file), size))
            }
        }
    }

    /// Reads a small member whole.
    pub fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>> {
        let (reader, size) = self.open(name)?;
        if size > limit {
            bail!("`{name}` of the archive is larger than the limit of {limit} bytes");
        }
        let mut bytes = Vec::with_capacity(size as usize);
        reader.take(limit + 1).read_to_end(&mut bytes).with_context(|| format!("read `{name}`"))?;
        if bytes.len() as u64 > limit {
            bail!("`{name}` of the archive is larger than the limit of {limit} bytes");
        }
        Ok(bytes)
    }

    /// Reads a small member whose digest and size are known.
    pub fn read_blob(&self, name: &str, digest: &Digest, size: u64, limit: u64) -> Result<Vec<u8>> {
        let bytes = self.read(name, limit)?;
        if bytes.len() as u64 != size {
            bail!("`{name}` of the archive has {} bytes instead of {size}", bytes.len());
        }
        let mut hasher = crate::base::digest::Hasher::new(digest.algorithm());
        hasher.update(&bytes);
        let found = hasher.finish();
        if found != *digest {
            bail!("`{name}` of the archive has digest `{found}` instead of `{digest}`");
        }
        Ok(bytes)
    }
}

fn open_beneath(root: &RootDir, name: &str) -> Result<File> {
    use crate::sys::file::{Mode, OFlags};
    let fd = root
        .open_file(Path::new(name), OFlags::RDONLY, Mode::empty())
        .with_context(|| format!("open `{name}` of the directory"))?;
    Ok(File::from(fd))
}

/// Finds a regular member, over one link if need be.
fn locate(index: &HashMap<String, MemberAt>, name: &str) -> Result<(u64, u64)> {
    let Some(MemberAt(member)) = index.get(name) else { bail!("the archive has no member `{name}`") };
    let (target, hard) = match member {
        Member::File { offset, size } => return Ok((*offset, *size)),
        Member::Link { target, hard } => (target, *hard),
    };
    let resolved = if hard { clean(target) } else { beside(name, target) };
    match resolved.and_then(|name| index.get(&name)) {
        Some(MemberAt(Member::File { offset, size })) => Ok((*offset, *size)),
        _ => bail!("member `{name}` of the archive is a link to `{target}`, which is no file of the archive"),
    }
}

/// The name that a link's text means, seen from the member that it stands in; `None` outside of the archive.
fn beside(name: &str, target: &str) -> Option<String> {
    if target.starts_with('/') {
        return None;
    }
    let parent = name.rsplit_once('/').map_or("", |(parent, _)| parent);
    clean(&format!("{parent}/{target}"))
}

/// A name without `.`, `..` and doubled slashes; `None` when it climbs out.
pub(super) fn clean(name: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// A part of a file, read by position: many at once on one descriptor.
struct Section {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(buffer.len());
        if left == 0 {
            return Ok(0);
        }
        let read = self.file.read_at(&mut buffer[..left], self.at)?;
        if read == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive is truncated"));
        }
        self.at += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_in_the_archive() {
        assert_eq!(beside("a/layer.tar", "../b/layer.tar").as_deref(), Some("b/layer.tar"));
        assert_eq!(beside("a/layer.tar", "../../b/layer.tar"), None);
        assert_eq!(beside("a/layer.tar", "/etc/shadow"), None);
        let file = MemberAt(Member::File { offset: 5, size: 6 });
        let link = |to: &str| MemberAt(Member::Link { target: to.into(), hard: false });
        let index = HashMap::from([
            ("b/layer.tar".to_owned(), file),
            ("a/layer.tar".into(), link("../b/layer.tar")),
            ("c/layer.tar".into(), link("../a/layer.tar")),
            ("d/layer.tar".into(), link("../../../etc/shadow")),
            ("e".into(), link("e")),
        ]);
        assert_eq!(locate(&index, "a/layer.tar").unwrap(), (5, 6));
        for bad in ["c/layer.tar", "d/layer.tar", "e", "none"] {
            assert!(locate(&index, bad).is_err(), "{bad}");
        }
    }
}
