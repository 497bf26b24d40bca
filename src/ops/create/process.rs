//! What runs: command, directory, user, limits.

use std::path::Path;

use super::{Context, CreateOptions, ImageFacts, Resolved, env, host, life};
use crate::base::error::{Context as _, Explain, Kind, Result, fail};
use crate::base::fs;
use crate::container::parse::{path, resources, ulimit, user};
use crate::container::record::{Config, Ulimit};
use crate::runtime::defaults;

pub(super) fn resolve(
    context: &Context<'_>,
    options: &CreateOptions,
    image: &ImageFacts,
    resolved: &mut Resolved,
) -> Result<()> {
    let config = &mut resolved.config;
    command(options, image, config)?;
    config.process.env = env::resolve(context, options, image)?;
    workdir(options, image, config)?;
    who(options, image, config)?;
    let process = &mut config.process;
    process.tty = options.tty;
    process.stdin_open = options.interactive;
    process.umask = resources::umask(options.umask.as_deref().unwrap_or(&context.defaults.umask))?;
    process.init = options.init || context.defaults.init;
    process.ulimits = ulimits(context, options)?;
    process.oom_score_adj = oom_score(context, options.oom_score_adj, &mut resolved.warnings)?;
    process.preserve_fd.clone_from(&options.preserve_fd);
    process.personality = personality(options.personality.as_deref())?;
    process.timezone = timezone(context, options)?;
    process.no_passwd = options.passwd == Some(false);
    process.passwd_entry = entry("--passwd-entry", options.passwd_entry.as_deref(), 7)?;
    process.group_entry = entry("--group-entry", options.group_entry.as_deref(), 4)?;
    let first = process.entrypoint.first().or(process.command.first());
    process.systemd = life::systemd_mode(options.systemd.as_deref(), first)?;
    if options.shm_size_systemd.is_some() && !process.systemd {
        return Err(fail(Kind::Usage, "--shm-size-systemd needs a container that is set up for systemd")
            .hint("use it with --systemd=always, or --shm-size and --tmpfs without systemd"));
    }
    if process.systemd && options.stop_signal.is_none() && image.stop_signal.is_none() {
        process.stop_signal = 37; // SIGRTMIN+3: systemd's word for an orderly halt
    }
    Ok(())
}

/// The execution domains that the runtime specification has.
fn personality(text: Option<&str>) -> Result<Option<String>> {
    match text {
        None | Some("LINUX" | "LINUX32") => Ok(text.map(str::to_owned)),
        Some(text) => {
            Err(fail(Kind::Usage, format!("--personality `{text}` is neither `LINUX` nor `LINUX32`")))
        }
    }
}

/// An entrypoint from a flag sets the image's command aside; an empty one leaves only what was typed.
fn command(options: &CreateOptions, image: &ImageFacts, config: &mut Config) -> Result<()> {
    let process = &mut config.process;
    process.entrypoint = match options.entrypoint.as_deref() {
        None => image.entrypoint.clone(),
        Some("") => Vec::new(),
        Some(text) if text.trim_start().starts_with('[') => {
            serde_json::from_str(text).unwrap_or_else(|_| vec![text.to_owned()])
        }
        Some(text) => vec![text.to_owned()],
    };
    process.command = if !options.command.is_empty() {
        options.command.clone()
    } else if options.entrypoint.is_none() {
        image.command.clone()
    } else {
        Vec::new()
    };
    let words = || process.entrypoint.iter().chain(&process.command);
    if words().next().is_none_or(String::is_empty) {
        let message = "no command was given, and the image has neither CMD nor ENTRYPOINT";
        return Err(fail(Kind::Usage, message).hint("write the command after the image's name"));
    }
    if words().any(|word| word.contains('\0')) {
        return Err(fail(Kind::Usage, "the command contains a NUL byte"));
    }
    Ok(())
}

fn workdir(options: &CreateOptions, image: &ImageFacts, config: &mut Config) -> Result<()> {
    let process = &mut config.process;
    match options.workdir.as_deref() {
        Some(text) if !text.starts_with('/') || text.contains('\0') => {
            return Err(fail(
                Kind::Usage,
                format!("the working directory `{text}` must be an absolute path"),
            ));
        }
        Some(text) => (process.workdir, process.workdir_from_image) = (path::clean(text), false),
        None => (process.workdir, process.workdir_from_image) = (path::join("/", &image.workdir), true),
    }
    if process.workdir.contains('\0') {
        return Err(fail(Kind::Usage, "the image's working directory contains a NUL byte"));
    }
    Ok(())
}

fn who(options: &CreateOptions, image: &ImageFacts, config: &mut Config) -> Result<()> {
    let process = &mut config.process;
    // keep-id has already put the caller there; a flag or the image's own user goes before it.
    match (&options.user, image.user.is_empty()) {
        (Some(user), _) => process.user.clone_from(user),
        (None, false) if process.user.is_empty() => process.user.clone_from(&image.user),
        _ => {}
    }
    user::parse(&process.user).context("read the user to run as")?;
    for group in &options.group_add {
        if group != "keep-groups" {
            user::who(group).context("read --group-add")?;
        } else if options.group_add.len() > 1 {
            return Err(fail(Kind::Usage, "--group-add keep-groups cannot be combined with other groups"));
        }
    }
    process.groups.clone_from(&options.group_add);
    Ok(())
}

fn ulimits(context: &Context<'_>, options: &CreateOptions) -> Result<Vec<Ulimit>> {
    let mut all: Vec<Ulimit> = Vec::new();
    let mut put = |limit: Ulimit| {
        all.retain(|known| known.name != limit.name);
        all.push(limit);
    };
    for name in ["nofile", "nproc"] {
        let most = defaults::NOFILE_AND_NPROC;
        put(Ulimit { name: name.into(), soft: most, hard: most, asked: false });
    }
    let configured = context.defaults.default_ulimits.iter().map(|text| (text, false));
    for (text, asked) in configured.chain(options.ulimit.iter().map(|text| (text, true))) {
        match ulimit::parse(text)? {
            ulimit::UlimitArg::Host => host::limits().into_iter().for_each(&mut put),
            ulimit::UlimitArg::Limit(limit) => put(Ulimit { asked, ..limit }),
        }
    }
    Ok(all)
}

/// Without root a score can be raised only: a lower one becomes that of the caller, and that is said.
fn oom_score(context: &Context<'_>, score: Option<i32>, warnings: &mut Vec<String>) -> Result<Option<i32>> {
    match score {
        Some(score) if context.rootless() && (-1000..own_oom_score()?).contains(&score) => {
            let own = own_oom_score()?;
            warnings.push(format!("--oom-score-adj {score} needs root: the container keeps {own}"));
            Ok(Some(own))
        }
        Some(score) if !(-1000..=1000).contains(&score) => {
            Err(fail(Kind::Usage, format!("--oom-score-adj goes from -1000 to 1000, not `{score}`")))
        }
        score => Ok(score),
    }
}

fn own_oom_score() -> Result<i32> {
    let text = fs::read_to_string(Path::new("/proc/self/oom_score_adj"))?;
    text.trim().parse().context("read /proc/self/oom_score_adj")
}

fn timezone(context: &Context<'_>, options: &CreateOptions) -> Result<Option<String>> {
    let zone = options.tz.as_deref().unwrap_or(&context.defaults.tz);
    let odd = |c: char| !(c.is_ascii_alphanumeric() || "+-_/".contains(c));
    if zone.chars().any(odd) || zone.starts_with('/') {
        return Err(
            fail(Kind::Usage, format!("`{zone}` is not a time zone")).hint("such as Europe/Berlin or local")
        );
    }
    if zone.is_empty() {
        return Ok(None);
    }
    let known = zone == "local" || std::path::Path::new("/usr/share/zoneinfo").join(zone).is_file();
    if !known {
        return Err(fail(
            Kind::Usage,
            format!("time zone `{zone}` is not in /usr/share/zoneinfo of this host"),
        )
        .hint("install tzdata, or set TZ with --env"));
    }
    Ok(Some(zone.to_owned()))
}

/// A line for a file of accounts: so many fields, and one line only.
fn entry(flag: &str, text: Option<&str>, fields: usize) -> Result<Option<String>> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    if text.split(':').count() != fields || text.contains(['\n', '\0']) {
        return Err(fail(Kind::Usage, format!("{flag} `{text}` has not {fields} fields")));
    }
    Ok(Some(text.to_owned()))
}
