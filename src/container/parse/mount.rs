//! `--mount type=…,KEY=VALUE,…` and `--tmpfs TARGET[:OPTIONS]`.

use std::path::PathBuf;

use super::options::{Collector, octal_mode, switch, unknown};
use super::{path, usage};
use crate::base::error::{Explain, Result};
use crate::base::words::csv_fields;
use crate::container::names;
use crate::container::record::MountOptions;

/// The type of a `--mount` with what belongs to it alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountKind {
    /// A path of the host as typed.
    Bind(String),
    /// Paths of the host that match a pattern.
    Glob(String),
    /// A volume; without name a new one.
    Volume {
        /// Its name.
        name: Option<String>,
        /// `volume-opt=` for a volume that must be made, `KEY=VALUE`.
        driver_options: Vec<String>,
        /// `volume-label=` for a volume that must be made, `KEY=VALUE`.
        labels: Vec<String>,
    },
    /// Fresh memory.
    Tmpfs,
    /// Fresh memory that is never swapped.
    Ramfs,
    /// A new devpts instance.
    Devpts,
    /// An image as typed.
    Image(String),
}

/// One `--mount`.
#[derive(Debug, Clone, PartialEq)]
pub struct Mount {
    /// What is mounted.
    pub kind: MountKind,
    /// Absolute and clean; empty only for a glob whose paths stay as they are.
    pub target: String,
    /// How.
    pub options: MountOptions,
}

#[derive(Default)]
struct Parts {
    source: Option<String>,
    target: Option<String>,
    driver_options: Vec<String>,
    labels: Vec<String>,
    /// `rw` was said, by whatever word: an image is read-only otherwise.
    said_rw: bool,
    collector: Collector,
}

/// Parses one `--mount`. Without `type=` it is a volume, as with Docker.
pub fn parse(text: &str) -> Result<Mount> {
    let fields = csv_fields(text)?;
    let mut kind = None;
    for field in &fields {
        if let Some(value) = field.strip_prefix("type=")
            && kind.replace(value.to_owned()).is_some()
        {
            return Err(usage("`type=` was given more than once"));
        }
    }
    let kind = kind.unwrap_or_else(|| "volume".to_owned());
    let mut parts = Parts::default();
    for field in fields.iter().filter(|field| !field.starts_with("type=")) {
        parts.take(&kind, field).with_hint(text)?;
    }
    parts.finish(&kind)
}

/// Adds the whole text to an error about one of its fields.
trait WithHint<T> {
    fn with_hint(self, text: &str) -> Result<T>;
}

impl<T> WithHint<T> for Result<T> {
    fn with_hint(self, text: &str) -> Result<T> {
        self.map_err(|error| error.context(format!("read --mount `{text}`")))
    }
}

impl Parts {
    fn take(&mut self, kind: &str, field: &str) -> Result<()> {
        let (name, value) = field.split_once('=').map_or((field, None), |(name, value)| (name, Some(value)));
        let needed = || {
            value.filter(|value| !value.is_empty()).ok_or_else(|| usage(format!("`{name}` needs a value")))
        };
        match name {
            "src" | "source" if !matches!(kind, "tmpfs" | "ramfs" | "devpts") => {
                set_once(&mut self.source, name, needed()?.to_owned())
            }
            "dst" | "destination" | "target" => {
                set_once(&mut self.target, name, path::mount_point(needed()?)?)
            }
            "consistency" => Ok(()), // Docker Desktop's; Docker ignores it on Linux, and so do we
            "bind-propagation" if is_bind(kind) => self.collector.propagation(needed()?),
            "bind-nonrecursive" if is_bind(kind) => {
                self.collector.options.non_recursive = switch(name, value)?;
                Ok(())
            }
            "bind-recursive" if is_bind(kind) => self.bind_recursive(needed()?),
            "relabel" => match needed()? {
                "shared" => self.common("z"),
                "private" => self.common("Z"),
                other => Err(usage(format!("`relabel` takes shared or private, not `{other}`"))),
            },
            "subpath" | "volume-subpath" | "image-subpath" if matches!(kind, "volume" | "image") => {
                self.collector.options.subpath = Some(subpath(needed()?)?);
                Ok(())
            }
            "volume-nocopy" if kind == "volume" => {
                self.collector.options.copy_up = Some(!switch(name, value)?);
                Ok(())
            }
            "volume-opt" if kind == "volume" => pair(&mut self.driver_options, name, needed()?),
            "volume-label" if kind == "volume" => pair(&mut self.labels, name, needed()?),
            "volume-driver" if kind == "volume" => match needed()? {
                "local" => Ok(()),
                other => Err(usage(format!("volume driver `{other}` is not supported"))),
            },
            "uid" | "gid" | "max" if kind == "devpts" => self.number(name, needed()?),
            "mode" | "ptmxmode" if kind == "devpts" => {
                self.collector.options.extra.push(format!("{name}={}", octal_mode(needed()?)?));
                Ok(())
            }
            "newinstance" if kind == "devpts" => Ok(()), // always
            _ if matches!(kind, "tmpfs" | "ramfs") && self.collector.take_memory(field)? => Ok(()),
            "idmap" if is_bind(kind) => self.idmap(value),
            _ => self.common(field),
        }
    }

    fn common(&mut self, field: &str) -> Result<()> {
        self.said_rw |= matches!(
            field,
            "rw" | "readwrite" | "rw=true" | "readwrite=true" | "ro=false" | "readonly=false"
        );
        if self.collector.take(field)? { Ok(()) } else { Err(unknown(field)) }
    }

    fn idmap(&mut self, value: Option<&str>) -> Result<()> {
        match value {
            Some("false") => Ok(()),
            Some("true") | None => self.common("idmap"),
            Some(map) => self.common(&format!("idmap={map}")),
        }
    }

    fn bind_recursive(&mut self, value: &str) -> Result<()> {
        match value {
            "enabled" | "writable" | "readonly" => Ok(()),
            "disabled" => self.common("bind"),
            other => Err(usage(format!(
                "`bind-recursive` takes enabled, disabled, writable or readonly, not `{other}`"
            ))),
        }
    }

    fn number(&mut self, name: &str, value: &str) -> Result<()> {
        let number = super::user::id(value)?;
        self.collector.options.extra.push(format!("{name}={number}"));
        Ok(())
    }

    fn finish(self, kind: &str) -> Result<Mount> {
        let mut options = self.collector.finish()?;
        let target = self.target.clone();
        let must = |what: &str, value: Option<String>| {
            value.ok_or_else(|| usage(format!("--mount type={kind} needs {what}")))
        };
        let target_or_die = || must("target=", target.clone());
        let (kind, target) = match kind {
            "bind" => {
                let target = target_or_die()?;
                (MountKind::Bind(self.source.unwrap_or_else(|| target.clone())), target)
            }
            "glob" => (MountKind::Glob(must("source=", self.source)?), self.target.unwrap_or_default()),
            "volume" => (volume(self.source, self.driver_options, self.labels)?, target_or_die()?),
            "tmpfs" => (MountKind::Tmpfs, target_or_die()?),
            "ramfs" => (MountKind::Ramfs, target_or_die()?),
            "devpts" => (MountKind::Devpts, target_or_die()?),
            "image" => {
                options.read_only = !self.said_rw;
                (MountKind::Image(must("source=", self.source)?), target_or_die()?)
            }
            "npipe" | "cluster" => return Err(usage(format!("--mount type={kind} does not exist on Linux"))),
            "artifact" => return Err(usage("--mount type=artifact is not supported yet")),
            other => {
                return Err(usage(format!("unknown mount type `{other}`"))
                    .hint("bind, volume, tmpfs, ramfs, image, devpts, glob"));
            }
        };
        Ok(Mount { kind, target, options })
    }
}

fn is_bind(kind: &str) -> bool {
    matches!(kind, "bind" | "glob")
}

fn volume(name: Option<String>, driver_options: Vec<String>, labels: Vec<String>) -> Result<MountKind> {
    if let Some(name) = &name {
        names::check_word("volume", name).hint("use type=bind for a path of the host")?;
    }
    Ok(MountKind::Volume { name, driver_options, labels })
}

fn set_once(slot: &mut Option<String>, name: &str, value: String) -> Result<()> {
    match slot.replace(value) {
        Some(_) => Err(usage(format!("`{name}` was given more than once"))),
        None => Ok(()),
    }
}

fn pair(list: &mut Vec<String>, name: &str, value: &str) -> Result<()> {
    if !value.contains('=') || value.starts_with('=') {
        return Err(usage(format!("`{name}` takes KEY=VALUE, not `{value}`")));
    }
    list.push(value.to_owned());
    Ok(())
}

/// A path inside a volume or image; kept relative, and resolved inside its root later.
fn subpath(text: &str) -> Result<PathBuf> {
    if text.split('/').any(|part| part == "..") || text.contains('\0') {
        return Err(usage(format!("the subpath `{text}` leads out of its volume")));
    }
    Ok(PathBuf::from(text.trim_start_matches('/')))
}

/// Parses one `--tmpfs`.
pub fn parse_tmpfs(text: &str) -> Result<Mount> {
    let (target, words) = text.split_once(':').unwrap_or((text, ""));
    let target = path::mount_point(target)?;
    let mut collector = Collector::default();
    for word in words.split(',').filter(|word| !word.is_empty()) {
        if !collector.take_memory(word)? && !collector.take(word)? {
            return Err(unknown(word));
        }
    }
    let options = collector.finish()?;
    if options.overlay || options.relabel.is_some() || options.idmap.is_some() {
        return Err(usage(format!("--tmpfs `{text}` has an option that is for volumes")));
    }
    Ok(Mount { kind: MountKind::Tmpfs, target, options })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_read() {
        let bind =
            parse("type=bind,src=/a,dst=/b,ro=true,bind-propagation=rslave,bind-nonrecursive,relabel=shared")
                .unwrap();
        assert_eq!(bind.kind, MountKind::Bind("/a".into()));
        assert!(bind.options.read_only && bind.options.non_recursive && bind.options.relabel == Some('z'));
        let tmpfs = parse("type=tmpfs,tmpfs-size=512M,tmpfs-mode=0700,target=/t,notmpcopyup,U=true").unwrap();
        assert_eq!(tmpfs.options.extra, ["size=536870912", "mode=700"]);
        assert_eq!((tmpfs.options.copy_up, tmpfs.options.chown), (Some(false), true));
        let volume = parse("source=v,target=/v,volume-opt=type=tmpfs,subpath=a/b,readonly").unwrap();
        assert_eq!(volume.options.subpath, Some("a/b".into()));
        assert!(
            matches!(volume.kind, MountKind::Volume { name: Some(_), ref driver_options, .. } if driver_options == &["type=tmpfs"])
        );
        assert!(matches!(parse("type=volume,dst=/v").unwrap().kind, MountKind::Volume { name: None, .. }));
        assert!(parse("type=image,source=x,target=/i").unwrap().options.read_only);
        assert!(!parse("type=image,source=x,target=/i,rw=true").unwrap().options.read_only);
        assert_eq!(
            parse("type=devpts,destination=/dev/pts,uid=5,mode=620").unwrap().options.extra,
            ["uid=5", "mode=620"]
        );
        assert_eq!(parse("type=glob,src=/usr/lib/x*").unwrap().target, "");
        assert_eq!(parse("type=ramfs,dst=/r").unwrap().kind, MountKind::Ramfs);
    }

    #[test]
    fn a_bind_without_source_shows_the_same_path() {
        assert_eq!(parse("type=bind,dst=/etc/x").unwrap().kind, MountKind::Bind("/etc/x".into()));
    }

    #[test]
    fn quotes_protect_commas() {
        assert_eq!(parse("type=bind,\"src=/a,b\",dst=/c").unwrap().kind, MountKind::Bind("/a,b".into()));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for bad in [
            "",
            "type=bind",
            "type=bind,dst=b",
            "type=bind,src=,dst=/b",
            "type=tmpfs",
            "type=tmpfs,src=/a,dst=/b",
            "type=nfs,dst=/b",
            "type=bind,src=/a,dst=/b,foo",
            "type=bind,src=/a,dst=/b,ro=maybe",
            "type=bind,dst=/b,dst=/c",
            "type=volume,src=a/b,dst=/b",
            "type=volume,src=v,dst=/b,subpath=../x",
            "type=image,dst=/b",
            "type=bind,,dst=/b",
            "type=bind,\"src=/a",
            "type=tmpfs,dst=/b,tmpfs-mode=999",
            "type=tmpfs,dst=/b,tmpfs-size=x",
            "type=bind,type=bind,dst=/b",
            "type=bind,src=/a,dst=/proc/sys",
            "type=volume,src=v,dst=/b,volume-opt=x",
            "type=devpts,dst=/b,uid=-1",
            "type=bind,src=/a,dst=/b,bind-propagation=x",
            "type=bind,src=/a,dst=/b,relabel",
            "type=artifact,src=x,dst=/b",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn tmpfs_takes_mount_options() {
        let mount = parse_tmpfs("/run:rw,size=787448k,mode=1777,noexec,uid=7").unwrap();
        assert_eq!(mount.options.extra, ["size=806346752", "mode=1777", "uid=7"]);
        assert_eq!(mount.options.flags, ["noexec"]);
        assert_eq!(parse_tmpfs("/run").unwrap().options, MountOptions::default());
        assert_eq!(parse_tmpfs("/t:size=50%").unwrap().options.extra, ["size=50%"]);
        for bad in ["", "run", "/", "/run:size", "/run:what", "/run:Z", "/run:O"] {
            assert!(parse_tmpfs(bad).is_err(), "{bad}");
        }
    }
}
