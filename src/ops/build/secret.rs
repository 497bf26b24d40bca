//! Secrets of a build: read once at its beginning, shown to a `RUN` in memory only; never in a layer, a cache key, a
//! message or the arguments of a process.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::mount::MountAttrFlags;

use crate::base::error::{Context, Explain, Kind, Result, bail, fail};
use crate::base::fs;
use crate::base::text::printable;
use crate::base::words::csv_fields;
use crate::sys::file::{self, Mode, OFlags};
use crate::sys::mount;

/// The largest secret, as BuildKit has it.
const LIMIT: u64 = 500 * 1024;

/// The secrets that a build was given, by id.
#[derive(Default, Clone)]
pub struct Secrets(BTreeMap<String, Vec<u8>>);

impl fmt::Debug for Secrets {
    /// The ids alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Where a secret is.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    File(String),
    Env(String),
}

impl Secrets {
    /// Reads `--secret id=ID[,src=PATH|env=NAME][,type=file|env]`, once for each. `env` looks variables up.
    pub fn read(specs: &[String], cwd: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Secrets> {
        let mut secrets = BTreeMap::new();
        for spec in specs {
            let (id, place) =
                parse(spec, env).with_context(|| format!("read `--secret {}`", printable(spec)))?;
            let value = match place {
                Place::File(path) => read_file(&cwd.join(path)),
                Place::Env(name) => env(&name).map(String::into_bytes).ok_or_else(|| {
                    fail(Kind::NotFound, format!("the variable `{}` is not set", printable(&name)))
                }),
            };
            let value = value.with_context(|| format!("read secret `{}`", printable(&id)))?;
            if secrets.insert(id.clone(), value).is_some() {
                return Err(fail(Kind::Usage, format!("the secret `{}` is given twice", printable(&id))));
            }
        }
        Ok(Secrets(secrets))
    }

    /// A secret, if the build was given it.
    pub fn get(&self, id: &str) -> Option<&[u8]> {
        self.0.get(id).map(Vec::as_slice)
    }
}

fn parse(spec: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<(String, Place)> {
    let usage = |message: String| fail(Kind::Usage, message);
    let (mut id, mut source, mut variable, mut kind) = (None, None, None, None);
    for field in csv_fields(spec)? {
        let Some((key, value)) = field.split_once('=').filter(|(_, value)| !value.is_empty()) else {
            return Err(usage(format!("`{}` is no `key=value`", printable(&field))));
        };
        let slot = match key {
            "id" => &mut id,
            "src" | "source" => &mut source,
            "env" => &mut variable,
            "type" => &mut kind,
            _ => return Err(usage(format!("a secret has no `{}`", printable(key)))),
        };
        *slot = Some(value.to_owned());
    }
    let id = id.context("a secret needs an `id`")?;
    let place = match (kind.as_deref(), source, variable) {
        (_, Some(_), Some(_)) => return Err(usage("a secret is a file or a variable, not both".into())),
        (None | Some("env"), None, Some(name)) => Place::Env(name),
        (Some("env"), source, None) => Place::Env(source.unwrap_or(id.clone())),
        (None | Some("file"), Some(path), None) => Place::File(path),
        (None, None, None) if env(&id).is_some() => Place::Env(id.clone()),
        (None | Some("file"), None, None) => Place::File(id.clone()),
        (Some(kind), ..) => return Err(usage(format!("a secret is no `{}`", printable(kind)))),
    };
    Ok((id, place))
}

/// A file of the caller, also a pipe that a shell made of a command.
fn read_file(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let opened = fs::open(path)?;
    opened.take(LIMIT + 1).read_to_end(&mut bytes).with_context(|| format!("read `{}`", path.display()))?;
    if bytes.len() as u64 > LIMIT {
        bail!("it is larger than the limit of {LIMIT} bytes for a secret");
    }
    Ok(bytes)
}

/// Who may see what is shown.
#[derive(Debug, Clone, Copy)]
pub struct Access {
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// A detached mount of one file in memory.
pub fn in_memory(content: &[u8], access: Access) -> Result<OwnedFd> {
    let (tmpfs, name) = (memory()?, Path::new("secret"));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    let made =
        file::open_at(&tmpfs, name, flags, Mode::from_raw_mode(0o600)).context("make a file in memory")?;
    file::write_all(&made, content).context("write a file in memory")?;
    file::chmod(&made, access.mode)?;
    file::chown(&made, access.uid, access.gid)
        .with_context(|| format!("give it to {}:{}", access.uid, access.gid))
        .hint("are these ids mapped in the user namespace?")?;
    let shown = file::open_at(&tmpfs, name, OFlags::PATH, Mode::empty())?;
    drop(made);
    mount::clone_part(tmpfs.as_fd(), shown.as_fd()).context("show a file in memory")
}

/// An empty file system in memory, which is never swapped out to be read later where the kernel can promise that.
pub(super) fn memory() -> Result<OwnedFd> {
    let attr = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let options = ["mode=0755", "size=1m"];
    let with_noswap = mount::detached("tmpfs", &[&options[..], &["noswap"]].concat(), attr);
    // `noswap` is of Linux 6.4, and not for user namespaces.
    with_noswap.or_else(|_| mount::detached("tmpfs", &options, attr)).context("make a file system in memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_secrets_are_told_apart() {
        let env = |name: &str| (name == "token").then(|| "t".to_owned());
        let file = |path: &str| Place::File(path.into());
        for (spec, expected) in [
            ("id=a,src=/x", file("/x")),
            ("id=a,type=file,source=x", file("x")),
            ("id=a,env=B", Place::Env("B".into())),
            ("id=a,type=env,src=B", Place::Env("B".into())),
            ("id=token", Place::Env("token".into())),
            ("id=other", file("other")),
            ("id=a,\"src=x,y\"", file("x,y")),
        ] {
            assert_eq!(parse(spec, &env).unwrap().1, expected, "{spec}");
        }
        for bad in ["", "a", "src=x", "id=", "id=a,what=b", "id=a,env=B,src=C", "id=a,type=nope"] {
            assert!(parse(bad, &env).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_missing_secret_is_an_error_and_no_value_is_shown() {
        let env = |name: &str| (name == "E").then(|| "VALUE".to_owned());
        let read = |specs: &[&str]| {
            let specs: Vec<String> = specs.iter().map(|spec| (*spec).to_owned()).collect();
            Secrets::read(&specs, Path::new("/"), &env)
        };
        let secrets = read(&["id=e,env=E"]).unwrap();
        assert_eq!((secrets.get("e"), secrets.get("f")), (Some(&b"VALUE"[..]), None));
        assert!(!format!("{secrets:?}").contains("VALUE"));
        for bad in [&["id=x,src=/none/such"][..], &["id=x,env=NONE"], &["id=e,env=E", "id=e,env=E"]] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
