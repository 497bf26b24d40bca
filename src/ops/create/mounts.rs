//! `--mount`, `-v`, `--tmpfs`, `--volumes-from`, the image's volumes, and devices.

use std::path::{Path, PathBuf};

use super::{Context, CreateOptions, ImageFacts, Resolved};
use crate::base::error::{Context as _, Explain, Kind, Result, fail};
use crate::base::{fs, id};
use crate::container::parse::mount::MountKind;
use crate::container::parse::volume::Source;
use crate::container::parse::{device, mount, path, volume};
use crate::container::record::{Device, Mount, MountOptions, MountSource};

/// A volume that must exist before the container, made as the flag says if it does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVolume {
    /// Its name.
    pub name: String,
    /// Options of the driver, `KEY=VALUE`.
    pub options: Vec<String>,
    /// Labels, `KEY=VALUE`.
    pub labels: Vec<String>,
}

pub(super) fn resolve(
    context: &Context<'_>,
    options: &CreateOptions,
    image: &ImageFacts,
    resolved: &mut Resolved,
) -> Result<()> {
    let mut all: Vec<Mount> = Vec::new();
    for text in &options.mount {
        from_mount(context, &mount::parse(text)?, resolved)?
            .into_iter()
            .try_for_each(|m| add(&mut all, m))?;
    }
    for text in &options.volume {
        add(&mut all, from_volume(context, volume::parse(text)?, resolved)?)?;
    }
    for text in &options.tmpfs {
        from_mount(context, &mount::parse_tmpfs(text)?, resolved)?
            .into_iter()
            .try_for_each(|m| add(&mut all, m))?;
    }
    for mount in configured(context, resolved)? {
        add_if_free(&mut all, mount);
    }
    for mount in from_containers(context, options)? {
        add_if_free(&mut all, mount);
    }
    for mount in from_image(context, options, image)? {
        add_if_free(&mut all, mount);
    }
    resolved.config.mounts = all;
    resolved.config.devices = devices(context, options)?;
    Ok(())
}

/// Two different things in one place is a contradiction; the same thing twice is not.
fn add(all: &mut Vec<Mount>, mount: Mount) -> Result<()> {
    match all.iter().find(|known| known.target == mount.target) {
        Some(known) if *known == mount => Ok(()),
        Some(_) => Err(fail(Kind::Usage, format!("`{}` is mounted over twice", mount.target))),
        None => {
            all.push(mount);
            Ok(())
        }
    }
}

fn add_if_free(all: &mut Vec<Mount>, mount: Mount) {
    if !all.iter().any(|known| known.target == mount.target) {
        all.push(mount);
    }
}

fn configured(context: &Context<'_>, resolved: &mut Resolved) -> Result<Vec<Mount>> {
    let mut all = Vec::new();
    for text in &context.defaults.mounts {
        all.extend(from_mount(context, &mount::parse(text)?, resolved).context("containers.conf: mounts")?);
    }
    for text in &context.defaults.volumes {
        all.push(from_volume(context, volume::parse(text)?, resolved).context("containers.conf: volumes")?);
    }
    Ok(all)
}

fn from_volume(context: &Context<'_>, volume: volume::Volume, resolved: &mut Resolved) -> Result<Mount> {
    let source = match volume.source {
        Source::Anonymous => anonymous(),
        Source::Named(name) => MountSource::Volume { name, anonymous: false },
        Source::Path(text) => {
            let source = host_path(context, &text)?;
            if std::fs::symlink_metadata(&source).is_err() {
                missing(&source, &volume.options, resolved)?;
            }
            MountSource::Bind(source)
        }
    };
    Ok(Mount { target: volume.target, source, options: volume.options })
}

/// Docker makes a folder that `-v` names; a typing error in `:O` must not make one.
fn missing(source: &Path, options: &MountOptions, resolved: &mut Resolved) -> Result<()> {
    if options.overlay {
        return Err(fail(Kind::NotFound, format!("`{}` does not exist", source.display())));
    }
    if !resolved.missing_dirs.iter().any(|known| known == source) {
        resolved.missing_dirs.push(source.to_owned());
    }
    Ok(())
}

fn anonymous() -> MountSource {
    MountSource::Volume { name: id::random(), anonymous: true }
}

/// Absolute, without `.` and `..`, which are resolved as the shell resolves them: by the text.
fn host_path(context: &Context<'_>, text: &str) -> Result<PathBuf> {
    let joined = context.caller.cwd.join(text);
    let joined = joined.to_str().with_context(|| format!("`{}` is not UTF-8", joined.display()))?;
    Ok(PathBuf::from(path::clean(joined)))
}

fn from_mount(context: &Context<'_>, mount: &mount::Mount, resolved: &mut Resolved) -> Result<Vec<Mount>> {
    let source = match &mount.kind {
        MountKind::Bind(text) => {
            let source = host_path(context, text)?;
            if std::fs::symlink_metadata(&source).is_err() {
                return Err(fail(
                    Kind::NotFound,
                    format!("bind source `{}` does not exist", source.display()),
                )
                .hint("make it first, or use -v, which makes a directory"));
            }
            MountSource::Bind(source)
        }
        MountKind::Glob(pattern) => return glob(context, pattern, mount),
        MountKind::Volume { name, driver_options, labels } => {
            let name_now = name.clone().unwrap_or_else(id::random);
            if !driver_options.is_empty() || !labels.is_empty() {
                resolved.new_volumes.push(NewVolume {
                    name: name_now.clone(),
                    options: driver_options.clone(),
                    labels: labels.clone(),
                });
            }
            MountSource::Volume { name: name_now, anonymous: name.is_none() }
        }
        MountKind::Tmpfs => MountSource::Tmpfs,
        MountKind::Ramfs => MountSource::Ramfs,
        MountKind::Devpts => MountSource::Devpts,
        MountKind::Image(text) => {
            let (id, layers) = (context.find_image)(text)?;
            MountSource::Image { id, layers }
        }
    };
    if context.rootless() && mount.options.extra.iter().any(|word| word == "noswap") {
        return Err(fail(Kind::Usage, "the tmpfs option `noswap` is for root only"));
    }
    Ok(vec![Mount { target: mount.target.clone(), source, options: mount.options.clone() }])
}

/// `type=glob`: a bind for each match, at the same path or below the target.
fn glob(context: &Context<'_>, pattern: &str, mount: &mount::Mount) -> Result<Vec<Mount>> {
    let pattern = host_path(context, pattern)?;
    let mut found = vec![PathBuf::from("/")];
    for part in pattern.components().skip(1) {
        let part = part.as_os_str().to_string_lossy().into_owned();
        let mut next = Vec::new();
        for dir in &found {
            if !part.contains(['*', '?', '[']) {
                next.push(dir.join(&part));
                continue;
            }
            // What cannot be listed has no matches, as with the shell.
            for entry in fs::read_dir(dir).unwrap_or_default() {
                if matches_pattern(&part, &entry.file_name().to_string_lossy()) {
                    next.push(entry.path());
                }
            }
        }
        next.retain(|path| std::fs::symlink_metadata(path).is_ok());
        next.sort();
        found = next;
    }
    if found.is_empty() {
        return Err(fail(Kind::NotFound, format!("nothing matches the pattern `{}`", pattern.display())));
    }
    found
        .into_iter()
        .map(|source| {
            let whole = source.to_string_lossy().into_owned();
            let base = whole.rsplit('/').next().unwrap_or_default();
            let target =
                if mount.target.is_empty() { whole.clone() } else { path::join(&mount.target, base) };
            let target = path::mount_point(&target)?;
            Ok(Mount { target, source: MountSource::Bind(source), options: mount.options.clone() })
        })
        .collect()
}

/// Shell patterns within one component: `*`, `?`, `[a-z]`, `[^a]`. A leading dot must be written.
pub(crate) fn matches_pattern(pattern: &str, text: &str) -> bool {
    if text.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    wildcard(&pattern, &text)
}

/// Iterative with one point to come back to: linear in practice, quadratic at worst.
fn wildcard(pattern: &[char], text: &[char]) -> bool {
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p + 1, t));
                p += 1;
            }
            Some(_) => match step(&pattern[p..], text[t]) {
                Some(used) => (p, t) = (p + used, t + 1),
                None => match star.as_mut() {
                    Some((after, from)) => {
                        *from += 1;
                        (p, t) = (*after, *from);
                    }
                    None => return false,
                },
            },
            None => match star.as_mut() {
                Some((after, from)) => {
                    *from += 1;
                    (p, t) = (*after, *from);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Matches one character; returns how much of the pattern that took.
fn step(pattern: &[char], c: char) -> Option<usize> {
    match pattern {
        ['?', ..] => Some(1),
        ['[', rest @ ..] => {
            let end = rest.iter().skip(1).position(|c| *c == ']')? + 1;
            let (negated, set) = match rest[..end].split_first() {
                Some(('^' | '!', set)) => (true, set),
                _ => (false, &rest[..end]),
            };
            let mut found = false;
            let mut at = 0;
            while at < set.len() {
                if set.get(at + 1) == Some(&'-') && at + 2 < set.len() {
                    found |= (set[at]..=set[at + 2]).contains(&c);
                    at += 3;
                } else {
                    found |= set[at] == c;
                    at += 1;
                }
            }
            (found != negated).then_some(end + 2)
        }
        [literal, ..] => (*literal == c).then_some(1),
        [] => None,
    }
}

/// What other containers have mounted from outside; an anonymous volume does not become this container's own.
fn from_containers(context: &Context<'_>, options: &CreateOptions) -> Result<Vec<Mount>> {
    let mut all = Vec::new();
    for text in &options.volumes_from {
        let (name, wanted) = volume::parse_from(text)?;
        let container = context.containers.resolve(&name)?;
        for mount in container.config.mounts {
            let mut mount = match mount.source {
                MountSource::Volume { name, .. } => {
                    Mount { source: MountSource::Volume { name, anonymous: false }, ..mount }
                }
                MountSource::Bind(_) => mount,
                _ => continue,
            };
            mount.options.read_only |= wanted.read_only;
            mount.options.chown |= wanted.chown;
            mount.options.relabel = wanted.relabel.or(mount.options.relabel);
            all.push(mount);
        }
    }
    Ok(all)
}

/// The image's `VOLUME`s. The paths come from outside: cleaned, and refused where a mount is.
fn from_image(context: &Context<'_>, options: &CreateOptions, image: &ImageFacts) -> Result<Vec<Mount>> {
    let mode = options.image_volume.as_deref().unwrap_or(&context.defaults.image_volume_mode);
    let source: fn() -> MountSource = match mode {
        "" | "anonymous" | "bind" => anonymous,
        "tmpfs" => || MountSource::Tmpfs,
        "ignore" => return Ok(Vec::new()),
        other => {
            let message = format!("--image-volume takes anonymous, tmpfs or ignore, not `{other}`");
            return Err(fail(Kind::Usage, message));
        }
    };
    image
        .volumes
        .iter()
        .map(|text| {
            let target = path::mount_point(&path::join("/", text)).context("read the image's volumes")?;
            Ok(Mount { target, source: source(), options: MountOptions::default() })
        })
        .collect()
}

/// Expands directories of devices, as `--device /dev/snd` means all in it.
fn devices(context: &Context<'_>, options: &CreateOptions) -> Result<Vec<Device>> {
    let mut all = Vec::new();
    for text in context.defaults.devices.iter().chain(&options.device) {
        let device = device::parse(text)?;
        let wanted = std::fs::metadata(&device.host)
            .map_err(|error| fail(Kind::NotFound, format!("device `{}`: {error}", device.host.display())))?;
        if wanted.is_dir() { expand(&device, 0, &mut all)? } else { all.push(device) }
    }
    Ok(all)
}

fn expand(dir: &Device, depth: u32, all: &mut Vec<Device>) -> Result<()> {
    use std::os::unix::fs::FileTypeExt;
    if depth > 8 {
        return Err(fail(Kind::Usage, format!("`{}` is too deep a tree of devices", dir.host.display())));
    }
    for entry in fs::read_dir(&dir.host)? {
        let kind = entry.file_type().with_context(|| format!("stat `{}`", entry.path().display()))?;
        let name = entry.file_name();
        let inner =
            Device { host: entry.path(), container: dir.container.join(&name), access: dir.access.clone() };
        if kind.is_dir() {
            // These are file systems of their own, not devices of the host.
            if !matches!(name.to_str(), Some("pts" | "shm" | "mqueue" | "fd" | ".lxc")) {
                expand(&inner, depth + 1, all)?;
            }
        } else if kind.is_char_device() || kind.is_block_device() {
            all.push(inner);
        }
    }
    Ok(())
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn patterns_match_as_in_a_shell() {
        let table = [
            ("*", "abc", true),
            ("a*c", "abbc", true),
            ("a*c", "abbd", false),
            ("lib?.so*", "libx.so.1", true),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("*", ".hidden", false),
            (".*", ".hidden", true),
            ("a", "ab", false),
            ("", "", true),
            ("[", "[", false),
        ];
        for (pattern, text, matches) in table {
            assert_eq!(matches_pattern(pattern, text), matches, "{pattern} {text}");
        }
        assert!(!matches_pattern(&"*a".repeat(40), &"a".repeat(200).replace("aa", "ab")));
    }
}
