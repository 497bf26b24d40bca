//! Name, labels, life cycle, logging and health.

use std::path::PathBuf;

use super::{Context, CreateOptions, ImageFacts, Resolved, health};
use crate::base::error::{Context as _, Kind, Result, bail, fail};
use crate::base::{fs, id};
use crate::container::names;
use crate::container::parse::{boolean, env as lines, keys, log as logs, restart, signal};
use crate::container::record::{Config, Log, LogDriver, RestartPolicy};

pub(super) fn resolve(
    context: &Context<'_>,
    options: &CreateOptions,
    image: &ImageFacts,
    resolved: &mut Resolved,
) -> Result<()> {
    let config = &mut resolved.config;
    if let Some(name) = options.name.as_deref().map(|name| name.strip_prefix('/').unwrap_or(name)) {
        names::check(name)?;
        config.name = name.to_owned();
    }
    labels(context, options, image, config)?;
    config.auto_remove = options.rm;
    config.auto_remove_image = options.rmi;
    config.restart = options.restart.as_deref().map_or(Ok(RestartPolicy::No), restart::parse)?;
    conflicts(options, config)?;
    for text in &options.requires {
        config.depends.push(context.containers.resolve_id(text)?);
    }
    config.timeout = options.timeout.unwrap_or(0);
    config.pid_file = options.pidfile.as_ref().map(|path| context.caller.cwd.join(path));
    config.cid_file = options.cidfile.as_ref().map(|path| context.caller.cwd.join(path));
    if let Some(path) = config.cid_file.as_ref().filter(|path| path.exists()) {
        bail!("the container id file `{}` exists already", path.display());
    }
    stop(context, options, image, config)?;
    config.health = health::resolve(context, options, image, config.restart)?;
    config.log = log(context, options, config)?;
    Ok(())
}

fn conflicts(options: &CreateOptions, config: &Config) -> Result<()> {
    let usage = |message: &str| Err(fail(Kind::Usage, message));
    if options.rm && config.restart != RestartPolicy::No {
        return usage("--rm and --restart exclude each other");
    }
    if options.detach && !options.attach.is_empty() {
        return usage("--attach and --detach exclude each other");
    }
    let streams = ["stdin", "stdout", "stderr"];
    if let Some(odd) = options.attach.iter().find(|name| !streams.contains(&name.to_lowercase().as_str())) {
        return Err(fail(Kind::Usage, format!("--attach takes stdin, stdout or stderr, not `{odd}`")));
    }
    if options.rmi && !options.rm {
        return usage("--rmi needs --rm");
    }
    Ok(())
}

fn labels(
    context: &Context<'_>,
    options: &CreateOptions,
    image: &ImageFacts,
    config: &mut Config,
) -> Result<()> {
    config.labels.clone_from(&image.labels);
    for path in &options.label_file {
        let text = fs::read_to_string(&context.caller.cwd.join(path))?;
        let read = lines::parse_label_file(&text).with_context(|| format!("read `{}`", path.display()))?;
        config.labels.extend(read);
    }
    for text in &options.label {
        let (key, value) = lines::parse_label(text)?;
        config.labels.insert(key, value);
    }
    for text in context.defaults.annotations.iter().chain(&options.annotation) {
        let (key, value) = lines::parse_pair("--annotation", text)?;
        config.annotations.insert(key, value);
    }
    Ok(())
}

fn stop(
    context: &Context<'_>,
    options: &CreateOptions,
    image: &ImageFacts,
    config: &mut Config,
) -> Result<()> {
    let process = &mut config.process;
    let wanted =
        options.stop_signal.as_deref().or(image.stop_signal.as_deref()).filter(|text| !text.is_empty());
    process.stop_signal = wanted.map_or(Ok(15), signal::parse)?;
    process.stop_timeout = match options.stop_timeout {
        Some(seconds) => u64::try_from(seconds).unwrap_or(u64::MAX), // negative: wait for ever
        None => context.defaults.stop_timeout,
    };
    let detach = options.detach_keys.as_deref().unwrap_or(&context.defaults.detach_keys);
    keys::parse(detach)?;
    process.detach_keys = detach.to_owned();
    Ok(())
}

fn log(context: &Context<'_>, options: &CreateOptions, config: &mut Config) -> Result<Log> {
    let asked = options.log_driver.as_deref().filter(|driver| !driver.is_empty());
    let driver = match asked {
        Some(text) => logs::parse_driver(text)?,
        None => context.defaults.log_driver.unwrap_or(LogDriver::K8sFile),
    };
    if options.tty && driver == LogDriver::Passthrough {
        return Err(fail(
            Kind::Usage,
            "log driver `passthrough` cannot serve a terminal; use `passthrough-tty`",
        ));
    }
    if options.detach && matches!(driver, LogDriver::Passthrough | LogDriver::PassthroughTty) && options.tty {
        return Err(fail(Kind::Usage, "a detached container cannot have the caller's terminal"));
    }
    let given = logs::parse_options(&options.log_opt)?;
    let file = matches!(driver, LogDriver::K8sFile | LogDriver::JsonFile);
    if !file && (given.path.is_some() || given.max_size.is_some()) {
        return Err(fail(
            Kind::Usage,
            "the log options path= and max-size= are for drivers that write a file",
        ));
    }
    let default_size = u64::try_from(context.defaults.log_size_max).unwrap_or(0);
    let tag = given.tag.unwrap_or_else(|| context.defaults.log_tag.clone());
    Ok(Log {
        driver,
        path: given.path.map(|path: PathBuf| context.caller.cwd.join(path)),
        max_size: given.max_size.unwrap_or(default_size),
        tag: expand_tag(context, config, &tag)?,
    })
}

/// Fills in the few fields that Podman's and Docker's log tags know. A made-up name is made up here then.
fn expand_tag(context: &Context<'_>, config: &mut Config, tag: &str) -> Result<String> {
    if !tag.contains("{{") {
        return Ok(tag.to_owned());
    }
    let compact: String = tag.split("{{").map(str::trim_start).collect::<Vec<_>>().join("{{");
    let compact = compact.split("}}").map(str::trim_end).collect::<Vec<_>>().join("}}");
    if compact.contains("{{.Name}}") && config.name.is_empty() {
        config.name = free_name(context)?;
    }
    let image_id = config.rootfs.image_id.as_ref().map(ToString::to_string).unwrap_or_default();
    let fields = [
        ("{{.ID}}", id::short(&config.id)),
        ("{{.FullID}}", config.id.as_str()),
        ("{{.Name}}", config.name.as_str()),
        ("{{.ImageName}}", config.rootfs.image_name.as_str()),
        ("{{.ImageID}}", id::short(&image_id)),
        ("{{.ImageFullID}}", image_id.as_str()),
        ("{{.DaemonName}}", "dhow"),
    ];
    let expanded = fields.iter().fold(compact, |text, (field, value)| text.replace(field, value));
    if expanded.contains("{{") {
        return Err(fail(Kind::Usage, format!("log tag `{tag}` has a field that is not known")));
    }
    Ok(expanded)
}

fn free_name(context: &Context<'_>) -> Result<String> {
    for attempt in 0..64 {
        let name = names::generate(attempt);
        if context.containers.owner_of(&name)?.is_none() {
            return Ok(name);
        }
    }
    bail!("no free container name was found")
}

/// `--systemd`: whether the mode holds for this command, as Podman decides.
pub(super) fn systemd_mode(text: Option<&str>, command: Option<&String>) -> Result<bool> {
    match text {
        Some("always") => return Ok(true),
        Some(text) if !boolean("--systemd", text)? => return Ok(false),
        _ => {}
    }
    let Some(command) = command else { return Ok(false) };
    let known = ["/sbin/init", "/usr/sbin/init", "/usr/local/sbin/init"];
    Ok(known.contains(&command.as_str()) || command.rsplit('/').next() == Some("systemd"))
}
