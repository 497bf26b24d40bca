//! Entries of /etc/passwd and /etc/group for a user that the image does not know, as Podman adds them.

use std::path::Path;

use super::Etc;
use crate::base::error::Result;
use crate::container::parse::user::{self, Who};
use crate::container::record::Config;
use crate::ops::spec::user as lookup;
use crate::ops::userns;

type Files = (Option<Vec<u8>>, Option<Vec<u8>>);

/// The two files with what must be added; `None` where the image's own will do.
pub(super) fn additions(etc: &Etc<'_>) -> Result<Files> {
    let process = &etc.config.process;
    if process.no_passwd
        || (etc.identity.uid == 0 && process.passwd_entry.is_none() && process.group_entry.is_none())
    {
        return Ok((None, None));
    }
    Ok((passwd(etc)?, group(etc)?))
}

/// A file that is missing, or so odd that it is not read, stays the image's business.
fn existing(etc: &Etc<'_>, path: &str) -> Option<String> {
    let readable = etc.root.exists(Path::new(path)).unwrap_or(false);
    let text = if readable { lookup::read(etc.root, path).ok().flatten() } else { None };
    text.map(|text| if text.is_empty() || text.ends_with('\n') { text } else { text + "\n" })
}

fn passwd(etc: &Etc<'_>) -> Result<Option<Vec<u8>>> {
    let Some(text) = existing(etc, "/etc/passwd") else { return Ok(None) };
    let who = etc.identity;
    let known = lookup::accounts(&text).any(|account| account.uid == who.uid);
    let keeps_id = keeps_id(etc.config);
    let entry = match &etc.config.process.passwd_entry {
        Some(template) => template.clone(),
        None if known => return Ok(None),
        None if keeps_id => "$USERNAME:*:$UID:$GID:$NAME:$HOME:/bin/sh".into(),
        None => "$USERNAME:*:$UID:$GID:container user:$HOME:/bin/sh".into(),
    };
    let (name, home) = if keeps_id { (etc.caller)() } else { Default::default() };
    let (name, home) = (name.as_str(), home.as_str());
    let uid = who.uid.to_string();
    // The name must not stand for somebody else in the image, nor break the line.
    let name = if is_plain(name) && !lookup::accounts(&text).any(|account| account.name == name) {
        name
    } else {
        &uid
    };
    let home = if home.starts_with('/') && is_plain(home) { home } else { &etc.config.process.workdir };
    let home = if is_plain(home) { home } else { "/" };
    let values = [
        ("$USERNAME", name),
        ("$UID", &uid),
        ("$GID", &who.gid.to_string()),
        ("$NAME", name),
        ("$HOME", home),
    ];
    let line = fill(entry, &values);
    Ok(Some(format!("{text}{line}\n").into_bytes()))
}

fn group(etc: &Etc<'_>) -> Result<Option<Vec<u8>>> {
    let Some(text) = existing(etc, "/etc/group") else { return Ok(None) };
    let gid = etc.identity.gid;
    let known = lookup::groups(&text).any(|(_, known, _)| known == gid);
    let by_name = match user::parse(&etc.config.process.user)?.group {
        Some(Who::Name(name)) => Some(name),
        _ => None,
    };
    let entry = match &etc.config.process.group_entry {
        Some(template) => template.clone(),
        None if known || by_name.is_some() => return Ok(None),
        None => "$GROUPNAME:x:$GID:".into(),
    };
    let number = gid.to_string();
    let line = fill(entry, &[("$GROUPNAME", &number), ("$GID", &number)]);
    Ok(Some(format!("{text}{line}\n").into_bytes()))
}

fn keeps_id(config: &Config) -> bool {
    config.annotations.get(userns::ANNOTATION).is_some_and(|mode| mode == "keep-id")
}

/// Nothing that would end the field or the line.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(|c| c == ':' || c.is_control())
}

fn fill(template: String, values: &[(&str, &str)]) -> String {
    values.iter().fold(template, |text, (name, value)| text.replace(name, value))
}
