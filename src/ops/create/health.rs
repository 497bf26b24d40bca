//! Health checks: the image's, with what flags say over it.

use super::{Context, CreateOptions, ImageFacts};
use crate::base::error::{Context as _, Kind, Result, fail};
use crate::base::time;
use crate::container::record::{HealthCheck, HealthLogTo, OnFailure, RestartPolicy, StartupCheck};

/// Nanoseconds between checks, and that a check may take, unless somebody says otherwise.
const DEFAULT: u64 = 30_000_000_000;

pub(super) fn resolve(
    context: &Context<'_>,
    options: &CreateOptions,
    image: &ImageFacts,
    restart: RestartPolicy,
) -> Result<Option<HealthCheck>> {
    let usage = |message: &str| Err(fail(Kind::Usage, message));
    if options.no_healthcheck {
        if options.health_cmd.is_some() || options.health_startup_cmd.is_some() {
            return usage("--no-healthcheck excludes --health-cmd and --health-startup-cmd");
        }
        return Ok(None);
    }
    let startup = startup(options)?;
    let on_failure = on_failure(options.health_on_failure.as_deref(), restart)?;
    let log = destination(context, options.health_log_destination.as_deref())?;
    let check = match (&options.health_cmd, &image.health) {
        (Some(text), _) => Some(HealthCheck { test: command(text)?, ..HealthCheck::default() }),
        (None, check) => check.clone(),
    };
    let stated = |check: &HealthCheck| !matches!(check.test.first().map(String::as_str), None | Some("NONE"));
    let Some(mut check) = check.filter(stated) else {
        if startup.is_some() {
            return usage("--health-startup-cmd needs a health check: --health-cmd, or one of the image");
        }
        return Ok(None);
    };
    let never = options.health_interval.as_deref() == Some("disable");
    check.interval = if never { 0 } else { duration(&options.health_interval, check.interval, DEFAULT)? };
    check.timeout = duration(&options.health_timeout, check.timeout, DEFAULT)?;
    check.start_period = duration(&options.health_start_period, check.start_period, 0)?;
    check.start_interval = duration(&options.health_start_interval, check.start_interval, 0)?;
    check.retries = options.health_retries.unwrap_or(if check.retries == 0 { 3 } else { check.retries });
    check.startup = startup;
    check.on_failure = on_failure;
    check.log = log;
    check.log_count = options.health_max_log_count;
    check.log_size = options.health_max_log_size;
    Ok(Some(check))
}

fn startup(options: &CreateOptions) -> Result<Option<StartupCheck>> {
    let Some(text) = &options.health_startup_cmd else {
        let others = options.health_startup_interval.is_some()
            || options.health_startup_timeout.is_some()
            || options.health_startup_retries.is_some()
            || options.health_startup_success.is_some();
        return match others {
            true => Err(fail(Kind::Usage, "the --health-startup options need --health-startup-cmd")),
            false => Ok(None),
        };
    };
    Ok(Some(StartupCheck {
        test: command(text)?,
        interval: duration(&options.health_startup_interval, 0, DEFAULT)?,
        timeout: duration(&options.health_startup_timeout, 0, DEFAULT)?,
        retries: options.health_startup_retries.unwrap_or(0),
        successes: options.health_startup_success.unwrap_or(0),
    }))
}

/// Nanoseconds: those of a flag, else those kept, else the default.
fn duration(given: &Option<String>, kept: u64, default: u64) -> Result<u64> {
    match given.as_deref() {
        Some(text) => time::parse_duration(text).map(|d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX)),
        None if kept == 0 => Ok(default),
        None => Ok(kept),
    }
}

fn on_failure(text: Option<&str>, restart: RestartPolicy) -> Result<OnFailure> {
    match text.unwrap_or("none") {
        "none" => Ok(OnFailure::None),
        "kill" => Ok(OnFailure::Kill),
        "stop" => Ok(OnFailure::Stop),
        "restart" if restart != RestartPolicy::No => {
            Err(fail(Kind::Usage, "--health-on-failure restart and --restart exclude each other"))
        }
        "restart" => Ok(OnFailure::Restart),
        other => Err(fail(
            Kind::Usage,
            format!("--health-on-failure is none, kill, restart or stop, not `{other}`"),
        )),
    }
}

fn destination(context: &Context<'_>, text: Option<&str>) -> Result<HealthLogTo> {
    match text {
        None | Some("local" | "") => Ok(HealthLogTo::Local),
        Some("events_logger") => Ok(HealthLogTo::Events),
        Some(path) => {
            let dir = context.caller.cwd.join(path);
            match dir.is_dir() {
                true => Ok(HealthLogTo::Directory(dir)),
                false => Err(fail(
                    Kind::Usage,
                    format!("--health-log-destination: `{}` is not a directory", dir.display()),
                )),
            }
        }
    }
}

/// A JSON array is `CMD`, anything else a line for the shell; `none` is no check.
fn command(text: &str) -> Result<Vec<String>> {
    if text == "none" {
        return Ok(vec!["NONE".into()]);
    }
    if text.trim_start().starts_with('[') {
        let mut words: Vec<String> = serde_json::from_str(text).context("read a health check's command")?;
        if !matches!(words.first().map(String::as_str), Some("CMD" | "CMD-SHELL" | "NONE")) {
            words.insert(0, "CMD".into());
        }
        return Ok(words);
    }
    Ok(vec!["CMD-SHELL".into(), text.to_owned()])
}
