//! `--security-opt`.

use std::path::PathBuf;

use super::{boolean, nearest, path, usage};
use crate::base::error::{Explain, Result};
use crate::container::record::Seccomp;

const WORDS: &[&str] =
    &["seccomp", "no-new-privileges", "label", "apparmor", "mask", "unmask", "proc-opts", "systempaths"];

/// All `--security-opt` flags together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SecurityOptions {
    /// `seccomp=`; a profile's path as typed.
    pub seccomp: Option<Seccomp>,
    /// `no-new-privileges[=BOOL]`
    pub no_new_privileges: Option<bool>,
    /// `label=`
    pub labels: Vec<String>,
    /// `apparmor=`
    pub apparmor: Option<String>,
    /// `mask=`, split at colons.
    pub mask: Vec<String>,
    /// `unmask=`, split at colons; `ALL` as such.
    pub unmask: Vec<String>,
    /// `proc-opts=`, split at commas.
    pub proc_opts: Vec<String>,
}

/// Parses all `--security-opt` flags. Docker's old colon instead of `=` is understood.
pub fn parse(texts: &[String]) -> Result<SecurityOptions> {
    let mut options = SecurityOptions::default();
    for text in texts {
        one(&mut options, text)?;
    }
    Ok(options)
}

fn one(options: &mut SecurityOptions, text: &str) -> Result<()> {
    let split = text.find(['=', ':']);
    let (name, value) = split.map_or((text, None), |at| (&text[..at], Some(&text[at + 1..])));
    let needed = || {
        value.filter(|v| !v.is_empty()).ok_or_else(|| usage(format!("--security-opt {name} needs a value")))
    };
    match name {
        "no-new-privileges" => {
            options.no_new_privileges = Some(value.map_or(Ok(true), |value| boolean(name, value))?);
        }
        "seccomp" => {
            options.seccomp = Some(match needed()? {
                "unconfined" => Seccomp::Unconfined,
                "default" | "builtin" => Seccomp::Default,
                profile => Seccomp::Profile(PathBuf::from(profile)),
            });
        }
        "apparmor" => options.apparmor = Some(profile_name(needed()?)?),
        "label" => options.labels.push(label(needed()?)?),
        "mask" => options.mask.extend(paths(needed()?)?),
        "unmask" if needed()?.eq_ignore_ascii_case("all") => options.unmask.push("ALL".into()),
        "unmask" => options.unmask.extend(paths(needed()?)?),
        "proc-opts" => options.proc_opts.extend(proc_options(needed()?)?),
        "systempaths" if needed()? == "unconfined" => options.unmask.push("ALL".into()),
        "systempaths" => return Err(usage("--security-opt systempaths takes unconfined only")),
        _ => return Err(unknown(text, name)),
    }
    Ok(())
}

fn unknown(text: &str, name: &str) -> crate::base::error::Error {
    let error = usage(format!("unknown security option `{text}`"));
    match nearest(name, WORDS.iter().copied()) {
        Some(meant) => error.hint(format!("did you mean `{meant}`?")),
        None => error.hint(WORDS.join(", ")),
    }
}

/// An AppArmor profile's name goes into a file of /proc: one line, no blanks.
fn profile_name(text: &str) -> Result<String> {
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(usage(format!("`{text}` is not the name of an AppArmor profile")));
    }
    Ok(text.to_owned())
}

fn label(text: &str) -> Result<String> {
    let (word, value) = text.split_once(':').map_or((text, None), |(word, value)| (word, Some(value)));
    match (word, value) {
        ("disable" | "nested", None) => Ok(text.to_owned()),
        ("user" | "role" | "type" | "level" | "filetype", Some(value)) if !value.is_empty() => {
            Ok(text.to_owned())
        }
        _ => Err(usage(format!("unknown label option `{text}`"))
            .hint("disable, nested, user:, role:, type:, level:, filetype:")),
    }
}

fn paths(text: &str) -> Result<Vec<String>> {
    text.split(':')
        .filter(|part| !part.is_empty())
        .map(|part| match part.starts_with('/') && !part.contains('\0') {
            true => Ok(path::clean(part)),
            false => Err(usage(format!("the path `{part}` must be absolute"))),
        })
        .collect()
}

fn proc_options(text: &str) -> Result<Vec<String>> {
    text.split(',')
        .map(|word| match word.split_once('=') {
            Some(("hidepid", "0" | "1" | "2" | "4" | "off" | "noaccess" | "invisible" | "ptraceable")) => {
                Ok(word.to_owned())
            }
            Some(("gid", gid)) => super::user::id(gid).map(|_| word.to_owned()),
            Some(("subset", "pid")) => Ok(word.to_owned()),
            None if matches!(word, "nosuid" | "nodev" | "noexec" | "ro" | "rw") => Ok(word.to_owned()),
            _ => Err(usage(format!("unknown option `{word}` for /proc")).hint("hidepid=, gid=, subset=pid")),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(texts: &[&str]) -> Result<SecurityOptions> {
        parse(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_collected() {
        let options = read(&[
            "no-new-privileges",
            "seccomp=unconfined",
            "label=disable",
            "apparmor:unconfined",
            "mask=/a:/b/../c",
            "unmask=/proc/*",
            "proc-opts=hidepid=2,gid=5",
            "systempaths=unconfined",
            "label=type:x_t",
        ])
        .unwrap();
        assert_eq!(options.no_new_privileges, Some(true));
        assert_eq!(options.seccomp, Some(Seccomp::Unconfined));
        assert_eq!(options.labels, ["disable", "type:x_t"]);
        assert_eq!(options.apparmor.as_deref(), Some("unconfined"));
        assert_eq!(options.mask, ["/a", "/c"]);
        assert_eq!(options.unmask, ["/proc/*", "ALL"]);
        assert_eq!(options.proc_opts, ["hidepid=2", "gid=5"]);
        assert_eq!(read(&["no-new-privileges:false"]).unwrap().no_new_privileges, Some(false));
        assert_eq!(read(&["seccomp=/p.json"]).unwrap().seccomp, Some(Seccomp::Profile("/p.json".into())));
    }

    #[test]
    fn what_is_unknown_is_refused() {
        for bad in [
            "",
            "seccomp",
            "seccomp=",
            "foo=bar",
            "no-new-privileges=maybe",
            "label=x",
            "mask=a",
            "unmask=",
            "proc-opts=x",
            "systempaths=x",
            "apparmor=a b",
            "label=type:",
        ] {
            assert!(read(&[bad]).is_err(), "{bad}");
        }
    }
}
