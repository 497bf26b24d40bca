//! `-v`, `--volume`: `[[SOURCE:]TARGET[:OPTIONS]]`; `--volumes-from`: `CONTAINER[:OPTIONS]`.

use super::options::{Collector, unknown};
use super::{path, usage};
use crate::base::error::{Explain, Result};
use crate::container::names;
use crate::container::record::MountOptions;

/// Where the source of a `-v` lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// No source: a new volume for this container alone.
    Anonymous,
    /// A named volume, made on demand.
    Named(String),
    /// A path of the host as typed; it begins with `/` or `.`.
    Path(String),
}

/// One `-v`.
#[derive(Debug, Clone, PartialEq)]
pub struct Volume {
    /// What is mounted.
    pub source: Source,
    /// Absolute and clean.
    pub target: String,
    /// How.
    pub options: MountOptions,
}

/// Parses one `-v`.
pub fn parse(text: &str) -> Result<Volume> {
    let wrong = || usage(format!("`{text}` is not a volume: [SOURCE:]TARGET[:OPTIONS]"));
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts[..] {
        [target] => (Source::Anonymous, target, ""),
        [source, target] => (parse_source(source)?, target, ""),
        [source, target, options] => (parse_source(source)?, target, options),
        _ => return Err(wrong()),
    };
    let target = path::mount_point(target)?;
    let options = parse_options(options)?;
    check(&source, &options)?;
    Ok(Volume { source, target, options })
}

fn parse_source(text: &str) -> Result<Source> {
    if text.is_empty() {
        return Err(usage("the source of the volume is empty"));
    }
    if text.contains('\0') {
        return Err(usage(format!("the path `{text}` contains a NUL byte")));
    }
    if text.starts_with('/') || text.starts_with('.') {
        return Ok(Source::Path(text.to_owned()));
    }
    names::check_word("volume", text).hint("a path of the host begins with `/` or `./`")?;
    Ok(Source::Named(text.to_owned()))
}

fn parse_options(text: &str) -> Result<MountOptions> {
    let mut collector = Collector::default();
    for word in text.split(',').filter(|word| !word.is_empty()) {
        // Docker Desktop's consistency words mean nothing on Linux, where Docker takes and ignores them.
        if !matches!(word, "cached" | "delegated" | "consistent") && !collector.take(word)? {
            return Err(unknown(word));
        }
    }
    collector.finish()
}

fn check(source: &Source, options: &MountOptions) -> Result<()> {
    let is_path = matches!(source, Source::Path(_));
    if options.overlay && *source == Source::Anonymous {
        return Err(usage("the option `O` needs a source to lay the overlay over"));
    }
    if options.overlay
        && (options.relabel.is_some() || options.propagation.is_some() || options.idmap.is_some())
    {
        return Err(usage("the option `O` cannot be combined with relabelling, propagation or idmap"));
    }
    if !is_path && options.propagation.as_deref().is_some_and(|word| word.contains("shared")) {
        return Err(usage("shared propagation is for paths of the host, not for volumes"));
    }
    Ok(())
}

/// Parses one `--volumes-from`: the container as typed, and whether read-only.
pub fn parse_from(text: &str) -> Result<(String, MountOptions)> {
    let (container, words) = text.split_once(':').unwrap_or((text, ""));
    if container.is_empty() {
        return Err(usage(format!("`{text}` names no container")));
    }
    let allowed = |word: &str| matches!(word, "ro" | "rw" | "z" | "Z" | "U");
    if let Some(word) = words.split(',').find(|word| !word.is_empty() && !allowed(word)) {
        return Err(usage(format!("--volumes-from takes ro, rw, z, Z and U, not `{word}`")));
    }
    Ok((container.to_owned(), parse_options(words)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_told_apart_by_their_first_letter() {
        let table = [
            ("/data", Source::Anonymous, "/data"),
            ("web:/data", Source::Named("web".into()), "/data"),
            ("/srv:/data/", Source::Path("/srv".into()), "/data"),
            ("./x:/data", Source::Path("./x".into()), "/data"),
            ("..:/data:ro", Source::Path("..".into()), "/data"),
        ];
        for (text, source, target) in table {
            let volume = parse(text).unwrap();
            assert_eq!((volume.source, volume.target.as_str()), (source, target), "{text}");
        }
    }

    #[test]
    fn options_are_collected() {
        let options = parse("/a:/b:ro,z,U,nosuid,noexec,rslave,rbind,cached").unwrap().options;
        assert!(options.read_only && options.chown && !options.non_recursive);
        assert_eq!(options.relabel, Some('z'));
        assert_eq!(options.propagation.as_deref(), Some("rslave"));
        assert_eq!(options.flags, ["nosuid", "noexec"]);
        let overlay = parse("/a:/b:O,upperdir=/u,workdir=/w").unwrap().options;
        assert!(overlay.overlay && overlay.upper.is_some());
        assert_eq!(parse("v:/b:idmap=uids=0-1-10").unwrap().options.idmap.as_deref(), Some("uids=0-1-10"));
        assert_eq!(parse("v:/b:nocopy").unwrap().options.copy_up, Some(false));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for bad in [
            "",
            ":",
            ":/a",
            "a",
            "a:b",
            "a:b:c:d",
            "a/b:/c",
            "/a:",
            "/a:/b:rx",
            "/a:/b:upperdir=/u",
            "/b:O",
            "v:/",
            "/a:/b:O,upperdir=/u",
            "/a:/b:O,Z",
            "v:/b:shared",
            "/a:/proc/1",
            "-x:/b",
            "/a\0:/b",
            "/a:/b:ro=maybe",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn volumes_from_takes_access_only() {
        assert!(parse_from("web:ro").unwrap().1.read_only);
        assert_eq!(parse_from("web").unwrap().0, "web");
        for bad in ["", ":ro", "web:nosuid", "web:ro,rw"] {
            assert!(parse_from(bad).is_err(), "{bad}");
        }
    }
}
