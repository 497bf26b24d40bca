//! The option words that `-v`, `--mount` and `--tmpfs` share, collected into [`MountOptions`].

use std::path::PathBuf;

use super::{boolean, nearest, usage};
use crate::base::error::{Explain, Result};
use crate::base::units::parse_bytes;
use crate::container::record::MountOptions;

const PROPAGATIONS: &[&str] =
    &["shared", "rshared", "slave", "rslave", "private", "rprivate", "unbindable", "runbindable"];

/// Pairs of kernel flags that contradict each other.
const FLAGS: &[(&str, &str)] = &[
    ("suid", "nosuid"),
    ("dev", "nodev"),
    ("exec", "noexec"),
    ("async", "sync"),
    ("atime", "noatime"),
    ("diratime", "nodiratime"),
    ("relatime", "norelatime"),
    ("strictatime", "nostrictatime"),
];

/// Words for the suggestion after a typing error.
const WORDS: &[&str] = &[
    "ro",
    "rw",
    "copy",
    "nocopy",
    "nosuid",
    "nodev",
    "noexec",
    "rbind",
    "bind",
    "idmap",
    "upperdir",
    "workdir",
    "rprivate",
    "rshared",
    "rslave",
    "tmpcopyup",
    "notmpcopyup",
    "size",
    "mode",
    "readonly",
    "subpath",
];

/// Collects option words and remembers what was already said, so that contradictions are errors.
#[derive(Debug, Default)]
pub struct Collector {
    /// What was understood.
    pub options: MountOptions,
    access: bool,
    recursion: bool,
    said: Vec<&'static str>,
}

impl Collector {
    /// Takes one word (with its value after `=`). False when the word is none of the common ones.
    pub fn take(&mut self, word: &str) -> Result<bool> {
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        if self.take_flag(name, value)? {
            return Ok(true);
        }
        let options = &mut self.options;
        match (name, value) {
            ("z" | "Z", None) => {
                once(options.relabel.is_some(), "`z` or `Z`")?;
                options.relabel = name.chars().next();
            }
            ("U" | "chown", value) => {
                self.once("chown")?;
                self.options.chown = switch(name, value)?;
            }
            ("O", None) => options.overlay = true,
            ("upperdir", Some(path)) => options.upper = Some(absolute(name, path)?),
            ("workdir", Some(path)) => options.work = Some(absolute(name, path)?),
            ("idmap", value) => {
                let map = value.unwrap_or_default();
                check_idmap(map)?;
                options.idmap = Some(map.to_owned());
            }
            ("copy", None) => options.copy_up = Some(true),
            ("nocopy", None) => options.copy_up = Some(false),
            ("no-dereference", value) => options.no_dereference = switch(name, value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn take_flag(&mut self, name: &str, value: Option<&str>) -> Result<bool> {
        match (name, value) {
            ("ro" | "readonly" | "rw" | "readwrite", value) => {
                once(std::mem::replace(&mut self.access, true), "`ro` or `rw`")?;
                self.options.read_only = switch(name, value)? == matches!(name, "ro" | "readonly");
            }
            ("bind" | "rbind", None) => {
                once(std::mem::replace(&mut self.recursion, true), "`bind` or `rbind`")?;
                self.options.non_recursive = name == "bind";
            }
            (word, None) if PROPAGATIONS.contains(&word) => self.propagation(word)?,
            (word, None) => {
                let Some((yes, no)) = FLAGS.iter().find(|(yes, no)| *yes == word || *no == word) else {
                    return Ok(false);
                };
                self.once(yes)?;
                self.options.flags.push((if *yes == word { yes } else { no }).to_string());
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Takes a propagation word.
    pub fn propagation(&mut self, word: &str) -> Result<()> {
        if !PROPAGATIONS.contains(&word) {
            return Err(usage(format!("`{word}` is not a mount propagation")).hint(PROPAGATIONS.join(", ")));
        }
        once(self.options.propagation.is_some(), "mount propagation")?;
        self.options.propagation = Some(word.to_owned());
        Ok(())
    }

    /// Takes a word that only memory file systems know.
    pub fn take_memory(&mut self, word: &str) -> Result<bool> {
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        let text = match (name, value) {
            ("tmpcopyup", None) => return self.copy_up(true),
            ("notmpcopyup", None) => return self.copy_up(false),
            ("size" | "tmpfs-size", Some(size)) => format!("size={}", tmpfs_size(size)?),
            ("mode" | "tmpfs-mode", Some(mode)) => format!("mode={}", octal_mode(mode)?),
            ("nr_inodes" | "nr_blocks", Some(count)) => {
                parse_bytes(count)?;
                word.to_owned()
            }
            ("uid" | "gid", Some(id)) => format!("{name}={}", super::user::id(id)?),
            ("huge", Some("never" | "always" | "within_size" | "advise")) => word.to_owned(),
            ("mpol", Some(policy)) if !policy.is_empty() => word.to_owned(),
            ("noswap", None) => word.to_owned(),
            _ => return Ok(false),
        };
        self.options.extra.push(text);
        Ok(true)
    }

    fn copy_up(&mut self, wanted: bool) -> Result<bool> {
        self.once("tmpcopyup")?;
        self.options.copy_up = Some(wanted);
        Ok(true)
    }

    fn once(&mut self, word: &'static str) -> Result<()> {
        once(self.said.contains(&word), &format!("`{word}` or its opposite"))?;
        self.said.push(word);
        Ok(())
    }

    /// Checks the whole and gives it out.
    pub fn finish(self) -> Result<MountOptions> {
        let options = self.options;
        if !options.overlay && (options.upper.is_some() || options.work.is_some()) {
            return Err(usage("upperdir= and workdir= belong to an overlay").hint("add the option `O`"));
        }
        if options.upper.is_some() != options.work.is_some() {
            return Err(usage("an overlay needs both upperdir= and workdir=, or neither"));
        }
        Ok(options)
    }
}

/// An error for a word that nobody understood.
pub(super) fn unknown(word: &str) -> crate::base::error::Error {
    let name = word.split('=').next().unwrap_or_default();
    let error = usage(format!("unknown mount option `{word}`"));
    match nearest(name, WORDS.iter().copied()) {
        Some(meant) if meant != name => error.hint(format!("did you mean `{meant}`?")),
        _ => error,
    }
}

fn once(already: bool, what: &str) -> Result<()> {
    if already { Err(usage(format!("{what} was given more than once"))) } else { Ok(()) }
}

pub(super) fn switch(name: &str, value: Option<&str>) -> Result<bool> {
    value.map_or(Ok(true), |text| boolean(name, text))
}

fn absolute(name: &str, path: &str) -> Result<PathBuf> {
    if path.starts_with('/') && !path.contains('\0') {
        return Ok(PathBuf::from(path));
    }
    Err(usage(format!("`{name}=` takes an absolute path, not `{path}`")))
}

/// `512m`, or a share of memory such as `50%`.
fn tmpfs_size(text: &str) -> Result<String> {
    if let Some(percent) = text.strip_suffix('%') {
        let share = percent.parse::<u32>().map_err(|_| usage(format!("`{text}` is not a size")))?;
        return Ok(format!("{share}%"));
    }
    // The kernel understands k, m and g only as single letters; bytes are understood everywhere.
    Ok(parse_bytes(text)?.to_string())
}

/// Octal permission bits, with or without a leading zero.
pub fn octal_mode(text: &str) -> Result<String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o7777 && !text.starts_with('+') => Ok(format!("{mode:o}")),
        _ => Err(usage(format!("`{text}` is not an octal mode such as 1777"))),
    }
}

/// `uids=0-1-10#10-11-10;gids=0-100-10`, each with an optional `@`.
fn check_idmap(text: &str) -> Result<()> {
    parse_idmap(text).map(|_| ())
}

/// One list of triplets of an `idmap=` option.
pub type IdmapRanges = Vec<(u32, u32, u32)>;

/// Reads the map of an `idmap=` option: (backing, host, length) triplets for users and for groups.
pub fn parse_idmap(text: &str) -> Result<(IdmapRanges, IdmapRanges)> {
    let (mut uids, mut gids) = (Vec::new(), Vec::new());
    let wrong = || usage(format!("`{text}` is not an id map such as uids=0-1-10;gids=0-100-10"));
    for part in text.split(';').filter(|part| !part.is_empty()) {
        let (name, ranges) = part.split_once('=').ok_or_else(wrong)?;
        let list = match name {
            "uids" => &mut uids,
            "gids" => &mut gids,
            _ => return Err(wrong()),
        };
        for range in ranges.split('#') {
            let numbers: Vec<u32> =
                range.trim_start_matches('@').split('-').map_while(|number| number.parse().ok()).collect();
            match numbers[..] {
                [from, to, length] if range.matches('-').count() == 2 && length > 0 => {
                    list.push((from, to, length));
                }
                _ => return Err(wrong()),
            }
        }
    }
    Ok((uids, gids))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contradictions_are_errors() {
        for words in ["ro,rw", "ro,ro", "z,Z", "shared,private", "dev,nodev", "bind,rbind", "U,chown=false"] {
            let mut collector = Collector::default();
            assert!(words.split(',').map(|word| collector.take(word)).any(|taken| taken.is_err()), "{words}");
        }
    }

    #[test]
    fn access_words_mean_what_they_say() {
        let table = [
            ("ro", true),
            ("readonly", true),
            ("ro=true", true),
            ("ro=false", false),
            ("rw", false),
            ("rw=false", true),
            ("rw=true", false),
        ];
        for (word, read_only) in table {
            let mut collector = Collector::default();
            assert!(collector.take(word).unwrap());
            assert_eq!(collector.options.read_only, read_only, "{word}");
        }
    }

    #[test]
    fn id_maps_of_mounts_are_triplets() {
        assert_eq!(parse_idmap("uids=0-1-10#10-11-10;gids=0-100-10").unwrap().0.len(), 2);
        assert_eq!(parse_idmap("uids=@0-1-10").unwrap().0, [(0, 1, 10)]);
        assert!(parse_idmap("").unwrap().0.is_empty());
        for bad in
            ["uids", "uids=", "x=0-1-2", "uids=0-1", "uids=0-1-2-3", "uids=0-1-0", "uids=-1-1-1", "true"]
        {
            assert!(parse_idmap(bad).is_err(), "{bad}");
        }
    }
}
