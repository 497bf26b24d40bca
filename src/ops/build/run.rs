//! `RUN`: a command in a container without a record, on the stage's root file system.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::event::PollFlags;

use super::job::interrupted;
use super::mounts::{self, Mounts};
use super::settings::{set_env, shell_line};
use super::space::Workspace;
use super::stage::{Identity, Stage};
use crate::base::error::{Context, Error, Explain, Kind, Result, fail, kind_of};
use crate::base::fs::{self, Durability};
use crate::base::text::printable;
use crate::container::record::{Config, Mount, MountOptions, MountSource};
use crate::dockerfile::Step;
use crate::dockerfile::action::Run;
use crate::dockerfile::ast::{Network, RunCommand, Security};
use crate::ops::container::transient::{self, Transient};
use crate::ops::create::{self, ImageFacts};
use crate::ops::image;
use crate::registry::Platform;
use crate::runtime::defaults;
use crate::sys::event::wait_any;
use crate::sys::process::{self, Exit};

/// Where the file of a `RUN` heredoc with `#!` appears: in memory, so that no layer has it.
const SCRIPT: &str = "/dev/pipes/EOF";

/// Does the step.
pub(super) fn step(stage: &mut Stage<'_>, step: &Step, run: &Run) -> Result<()> {
    let identity = identity(stage, run)?;
    if stage.reuse(step, &identity)? {
        return Ok(());
    }
    check_security(stage, run)?;
    check_architecture(stage)?;
    let mut space = stage.space.open()?;
    let mut mounts = mounts::prepare(stage, run, &space)?;
    let config = record(stage, run, &space, &mut mounts)?;
    space.note_mounts(config.mounts.iter().map(|mount| mount.target.as_str()))?;
    let status = execute(stage, config, &space, mounts)?;
    if status != 0 {
        return Err(failed(stage, status));
    }
    stage.voice.hush();
    stage.finished(step, &identity, Some(space))
}

/// What a `RUN` depends on: its text, the arguments it sees, and what it binds.
fn identity(stage: &mut Stage<'_>, run: &Run) -> Result<Identity> {
    let mut identity = Identity {
        parts: vec![format!("{run:?}")],
        inputs: super::cache::Inputs::default(),
        content: String::new(),
        alone: false,
    };
    for (name, value) in stage.scope.args() {
        identity.parts.push(format!("{name}={value}"));
        let digest = super::cache::key(&[value]);
        identity.inputs.args.insert(name.to_owned(), digest.hex()[..16].to_owned());
    }
    mounts::digest(stage, run, &mut identity)?;
    Ok(identity)
}

fn check_security(stage: &Stage<'_>, run: &Run) -> Result<()> {
    match run.security {
        Security::Insecure if !stage.job.options.insecure => {
            Err(fail(Kind::Usage, "`RUN --security=insecure` was not allowed")
                .hint("allow it with `--allow security.insecure`"))
        }
        _ => Ok(()),
    }
}

/// A command of another architecture needs an interpreter that the kernel knows.
fn check_architecture(stage: &Stage<'_>) -> Result<()> {
    let (host, arch) = (Platform::host().arch, stage.config.architecture.as_str());
    let native = arch.is_empty()
        || arch == host
        || (host == "amd64" && arch == "386")
        || (host == "arm64" && arch == "arm");
    if native {
        return Ok(());
    }
    let machine = match arch {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        "386" => "i386",
        "ppc64le" | "s390x" | "riscv64" | "arm" | "mips64le" | "loong64" => arch,
        other => other,
    };
    let name = format!("qemu-{machine}");
    if Path::new("/proc/sys/fs/binfmt_misc").join(&name).exists() {
        return Ok(());
    }
    Err(fail(Kind::Failed, format!("this machine cannot run commands for {arch}: the kernel knows no binfmt_misc interpreter `{name}`"))
        .hint("install qemu-user-static and binfmt-support, or build on such a machine; stages without RUN need none"))
}

/// The record of the container.
fn record(stage: &Stage<'_>, run: &Run, space: &Workspace, mounts: &mut Mounts) -> Result<Config> {
    let job = stage.job;
    let mut options = job.options.run.clone();
    match run.network {
        Network::Default => {}
        Network::None => options.network = vec!["none".into()],
        Network::Host => options.network = vec!["host".into()],
    }
    options.privileged |= run.security == Security::Insecure;
    let settings = &stage.config.config;
    let facts =
        ImageFacts { user: settings.user.clone(), command: vec!["RUN".into()], ..ImageFacts::default() };
    let find_image =
        |name: &str| image::find(job.ops, name).map(|image| (image.id.clone(), image.layers.clone()));
    let context = create::Context {
        roots: &job.ops.roots,
        caller: job.caller,
        defaults: job.defaults,
        containers: job.ops.containers()?,
        stage: job.ops.stage(),
        find_image: &find_image,
    };
    let resolved = create::resolve(&context, &options, Some(&facts))?;
    resolved.warnings.iter().for_each(|warning| stage.voice.warn(warning));
    let mut config = resolved.config;
    config.auto_remove = true;
    let process = &mut config.process;
    process.entrypoint.clear();
    process.command = command(stage, run, space, mounts)?;
    process.env = environment(stage, mounts);
    process.workdir = if settings.working_dir.is_empty() { "/".into() } else { settings.working_dir.clone() };
    process.workdir_from_image = true;
    process.no_passwd = true; // what RUN writes there belongs to the image
    process.timezone = None;
    config.mounts.extend(mounts.take_records());
    Ok(config)
}

fn command(stage: &Stage<'_>, run: &Run, space: &Workspace, mounts: &mut Mounts) -> Result<Vec<String>> {
    Ok(match &run.command {
        RunCommand::Shell(line) => shell_line(&stage.config.config, line),
        RunCommand::Exec(words) => words.clone(),
        RunCommand::Script(text) => {
            let path = space.dir().join("script");
            fs::replace(&path, text.as_bytes(), 0o755, Durability::Volatile)?;
            let options = MountOptions { read_only: true, ..MountOptions::default() };
            mounts.add(Mount { target: SCRIPT.into(), source: MountSource::Bind(path), options }, None);
            vec![SCRIPT.to_owned()]
        }
    })
}

/// The environment: that of the image, declared arguments, proxies, secrets; nothing else of the caller's.
fn environment(stage: &Stage<'_>, mounts: &Mounts) -> Vec<String> {
    let job = stage.job;
    let mut env: Vec<String> = Vec::new();
    for line in defaults::env(false).iter().filter(|line| line.starts_with("PATH=")) {
        env.push((*line).to_owned());
    }
    if job.options.run.http_proxy.unwrap_or(job.defaults.http_proxy) {
        for name in crate::dockerfile::scope::PROXIES {
            if let Some(value) = job.caller.env.get(name) {
                set_env(&mut env, name, value);
            }
        }
    }
    let scope = &stage.scope;
    let given = scope.proxies().into_iter().chain(scope.args());
    given.for_each(|(name, value)| set_env(&mut env, name, value));
    for line in &stage.config.config.env {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        set_env(&mut env, name, value);
    }
    mounts.env().iter().for_each(|(name, value)| set_env(&mut env, name, value));
    env
}

/// Runs the command to its end, its output relayed; gives its status.
fn execute(stage: &Stage<'_>, config: Config, space: &Workspace, mounts: Mounts) -> Result<i32> {
    let (output, writer) = std::io::pipe().context("make a pipe")?;
    let (output, writer) = (OwnedFd::from(output), OwnedFd::from(writer));
    let null = OwnedFd::from(fs::open(Path::new("/dev/null"))?);
    let stdio = [null, writer.try_clone().context("duplicate a descriptor")?, writer];
    let (fds, held) = mounts.into_fds();
    let started = transient::start(stage.job.ops, config, space.dir(), space.mount()?, stdio, fds);
    let running = match started {
        Ok(running) => running,
        Err(error) => return Err(start_failed(error)),
    };
    let ended = attend(stage, &running, &output);
    let finished = running.finish();
    drop(held);
    let exit = ended?;
    finished?;
    Ok(exit.code())
}

/// A command that is not there ends a build as a shell would say it.
fn start_failed(error: Error) -> Error {
    match kind_of(&error) {
        kind @ (Kind::NoCommand | Kind::NotExecutable) => error.kind(Kind::Command(kind.exit_code())),
        _ => error,
    }
}

/// Waits for the end of the command and of its output.
fn attend(stage: &Stage<'_>, running: &Transient, output: &OwnedFd) -> Result<Exit> {
    let signals = stage.job.signals.fd()?;
    let mut open = true;
    loop {
        let mut watched = vec![(running.pidfd.as_fd(), PollFlags::IN), (signals.as_fd(), PollFlags::IN)];
        if open {
            watched.push((output.as_fd(), PollFlags::IN));
        }
        let ready = match wait_any(&watched, None) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            ready => ready.context("wait for the command")?,
        };
        let on = |at: usize| ready.get(at).is_some_and(|flags| !flags.is_empty());
        if let Some(signal) = on(1).then(|| stage.job.signals.next()).flatten() {
            let _ = process::pidfd_send_signal(running.pidfd.as_fd(), libc::SIGKILL); // it may have just ended
            let _ = process::wait(running.pidfd.as_fd());
            return Err(interrupted(signal));
        }
        if on(2) {
            open = relay(stage, output)?;
        }
        if on(0) {
            let exit = process::wait(running.pidfd.as_fd()).context("wait for the command")?;
            drain(stage, output, open)?;
            return Ok(exit);
        }
    }
}

/// What is still in the pipe: with the first process all others have ended.
fn drain(stage: &Stage<'_>, output: &OwnedFd, mut open: bool) -> Result<()> {
    const PATIENCE: Duration = Duration::from_millis(200);
    while open {
        let ready =
            wait_any(&[(output.as_fd(), PollFlags::IN)], Some(PATIENCE)).context("read the output")?;
        if !ready.first().is_some_and(|flags| !flags.is_empty()) {
            return Ok(()); // somebody outside of the container holds the other end
        }
        open = relay(stage, output)?;
    }
    Ok(())
}

fn relay(stage: &Stage<'_>, output: &OwnedFd) -> Result<bool> {
    let mut buffer = [0u8; 32 << 10];
    match rustix::io::retry_on_intr(|| rustix::io::read(output, &mut buffer)) {
        Ok(0) => Ok(false),
        Ok(read) => {
            stage.voice.relay(&buffer[..read]);
            Ok(true)
        }
        Err(errno) => Err(errno).context("read the command's output"),
    }
}

/// The error of a command that failed; its status becomes that of the build.
fn failed(stage: &Stage<'_>, status: i32) -> Error {
    let last = stage.voice.hush();
    let error = fail(
        Kind::Command(u8::try_from(status).unwrap_or(1)),
        format!("the command ended with exit code {status}"),
    );
    match last.is_empty() {
        true => error,
        false => {
            let lines: Vec<String> = last.iter().map(|line| format!("  {}", printable(line))).collect();
            error.hint(format!("its last lines were\n{}", lines.join("\n")))
        }
    }
}
