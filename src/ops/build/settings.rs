//! Instructions that change the configuration alone.

use std::time::Duration;

use serde_json::json;

use crate::container::parse::path;
use crate::dockerfile::Action;
use crate::dockerfile::ast::{Command, Healthcheck};
use crate::image::Config;
use crate::image::config::{Healthcheck as Check, Settings};

/// What runs the shell form where no `SHELL` says otherwise.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// The stage's shell and a line for it.
pub(super) fn shell_line(settings: &Settings, line: &str) -> Vec<String> {
    let shell = match settings.shell.is_empty() {
        true => SHELL.map(str::to_owned).to_vec(),
        false => settings.shell.clone(),
    };
    shell.into_iter().chain([line.to_owned()]).collect()
}

fn words(settings: &Settings, command: &Command) -> Vec<String> {
    match command {
        Command::Shell(line) => shell_line(settings, line),
        Command::Exec(words) => words.clone(),
    }
}

/// Sets a variable in place, or adds it.
pub(super) fn set_env(env: &mut Vec<String>, name: &str, value: &str) {
    let line = format!("{name}={value}");
    match env.iter_mut().find(|known| known.split('=').next() == Some(name)) {
        Some(known) => *known = line,
        None => env.push(line),
    }
}

/// Applies an instruction. `own_cmd` tells whether this stage has set `CMD`: one that is inherited does not outlive
/// `ENTRYPOINT`.
pub(super) fn apply(config: &mut Config, action: &Action, own_cmd: &mut bool) {
    let settings = &mut config.config;
    match action {
        Action::Env(pairs) => pairs.iter().for_each(|(name, value)| set_env(&mut settings.env, name, value)),
        Action::Label(pairs) => settings.labels.extend(pairs.iter().cloned()),
        Action::Maintainer(text) => config.author.clone_from(text),
        Action::Cmd(command) => {
            settings.cmd = words(settings, command);
            *own_cmd = true;
        }
        Action::Entrypoint(command) => {
            settings.entrypoint = words(settings, command);
            if !*own_cmd {
                settings.cmd.clear();
            }
        }
        Action::Workdir(dir) => settings.working_dir = workdir(settings, dir),
        Action::User(user) => settings.user.clone_from(user),
        Action::Volume(paths) => settings.volumes.extend(paths.iter().map(|path| (path.clone(), json!({})))),
        Action::Expose(ports) => {
            settings.exposed_ports.extend(ports.iter().map(|port| (port.to_string(), json!({}))));
        }
        Action::StopSignal(signal) => settings.stop_signal.clone_from(signal),
        Action::Healthcheck(check) => settings.healthcheck = Some(healthcheck(settings, check)),
        Action::Shell(words) => settings.shell.clone_from(words),
        Action::Onbuild(trigger) => settings.on_build.push(trigger.clone()),
        Action::Arg(_) | Action::Run(_) | Action::Copy(_) | Action::Add(_) => {}
    }
}

/// The working directory after `WORKDIR`.
pub(super) fn workdir(settings: &Settings, dir: &str) -> String {
    let now = if settings.working_dir.is_empty() { "/" } else { &settings.working_dir };
    path::join(now, dir)
}

fn healthcheck(settings: &Settings, check: &Healthcheck) -> Check {
    let Healthcheck::Cmd { command, interval, timeout, start_period, start_interval, retries } = check else {
        return Check { test: vec!["NONE".into()], ..Check::default() };
    };
    let test = match command {
        Command::Shell(line) if settings.shell.is_empty() => vec!["CMD-SHELL".into(), line.clone()],
        Command::Shell(line) => [vec!["CMD".to_owned()], shell_line(settings, line)].concat(),
        Command::Exec(words) => [&["CMD".to_owned()], words.as_slice()].concat(),
    };
    let nanoseconds =
        |time: &Option<Duration>| time.map_or(0, |time| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX));
    Check {
        test,
        interval: nanoseconds(interval),
        timeout: nanoseconds(timeout),
        start_period: nanoseconds(start_period),
        start_interval: nanoseconds(start_interval),
        retries: i64::from(retries.unwrap_or(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entrypoint_clears_an_inherited_command_only() {
        let mut config = Config::default();
        config.config.cmd = vec!["old".into()];
        let mut own = false;
        let entrypoint = Action::Entrypoint(Command::Shell("run it".into()));
        apply(&mut config, &entrypoint, &mut own);
        assert!(config.config.cmd.is_empty());
        apply(&mut config, &Action::Cmd(Command::Exec(vec!["new".into()])), &mut own);
        apply(&mut config, &entrypoint, &mut own);
        assert_eq!(config.config.cmd, ["new"]);
        assert_eq!(config.config.entrypoint, ["/bin/sh", "-c", "run it"]);
    }

    #[test]
    fn working_directories_are_relative_to_the_last_one() {
        let mut config = Config::default();
        for (dir, want) in [("a", "/a"), ("b/../c", "/a/c"), ("/x/", "/x"), ("..", "/")] {
            apply(&mut config, &Action::Workdir(dir.into()), &mut false);
            assert_eq!(config.config.working_dir, want);
        }
    }

    #[test]
    fn a_variable_keeps_its_place() {
        let mut env = vec!["A=1".to_owned(), "B=2".to_owned()];
        set_env(&mut env, "A", "3=4");
        set_env(&mut env, "C", "");
        assert_eq!(env, ["A=3=4", "B=2", "C="]);
    }
}
