//! Hooks of the specification: programs that are told the container's state on their standard input.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use oci_spec::runtime::{Hook, Spec};

use crate::base::error::{Context, Result, bail};

/// The hooks of one container.
#[derive(Debug, Default, Clone)]
pub struct HookSet {
    prestart: Vec<Hook>,
    create_runtime: Vec<Hook>,
    create_container: Vec<Hook>,
    start_container: Vec<Hook>,
    poststart: Vec<Hook>,
    poststop: Vec<Hook>,
}

/// When hooks run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// In the host's namespaces, after the container's were made (and the deprecated `prestart` before).
    CreateRuntime,
    /// In the container's namespaces, before its root changes.
    CreateContainer,
    /// In the container, just before its command.
    StartContainer,
    /// In the host's namespaces, after the start; failures are reported, not fatal.
    Poststart,
    /// In the host's namespaces, after the end; failures are reported, not fatal.
    Poststop,
}

impl HookSet {
    /// The hooks of a specification.
    pub fn new(spec: &Spec) -> HookSet {
        let Some(hooks) = spec.hooks() else { return HookSet::default() };
        let of = |hooks: &Option<Vec<Hook>>| hooks.clone().unwrap_or_default();
        HookSet {
            prestart: of(hooks.prestart()),
            create_runtime: of(hooks.create_runtime()),
            create_container: of(hooks.create_container()),
            start_container: of(hooks.start_container()),
            poststart: of(hooks.poststart()),
            poststop: of(hooks.poststop()),
        }
    }

    /// Whether the child must wait for hooks before it changes its root.
    pub(super) fn before_root(&self) -> bool {
        !(self.prestart.is_empty() && self.create_runtime.is_empty() && self.create_container.is_empty())
    }

    fn of(&self, stage: Stage) -> impl Iterator<Item = &Hook> {
        let (first, second): (&[Hook], &[Hook]) = match stage {
            Stage::CreateRuntime => (&self.prestart, &self.create_runtime),
            Stage::CreateContainer => (&self.create_container, &[]),
            Stage::StartContainer => (&self.start_container, &[]),
            Stage::Poststart => (&self.poststart, &[]),
            Stage::Poststop => (&self.poststop, &[]),
        };
        first.iter().chain(second)
    }
}

/// Runs the hooks of a stage in order; stops at the first that fails.
pub fn run(hooks: &HookSet, stage: Stage, state: &serde_json::Value) -> Result<()> {
    for hook in hooks.of(stage) {
        run_one(hook, state).with_context(|| format!("hook `{}`", hook.path().display()))?;
    }
    Ok(())
}

fn run_one(hook: &Hook, state: &serde_json::Value) -> Result<()> {
    if !hook.path().is_absolute() {
        bail!("its path is not absolute");
    }
    let mut command = Command::new(hook.path());
    if let Some((name, rest)) = hook.args().as_deref().and_then(<[String]>::split_first) {
        command.arg0(name).args(rest);
    }
    let environment = hook.env().iter().flatten().filter_map(|pair| pair.split_once('='));
    command.env_clear().envs(environment).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().context("run")?;
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(state.to_string().as_bytes()); // a hook need not read it
    }
    let status = wait(&mut child, hook.timeout().and_then(|t| u64::try_from(t).ok()))?;
    if status.success() {
        return Ok(());
    }
    let mut words = String::new();
    if let Some(stderr) = child.stderr.take() {
        let _ = stderr.take(1024).read_to_string(&mut words); // the status alone is reason enough
    }
    bail!("{status}: {}", words.trim())
}

fn wait(child: &mut Child, seconds: Option<u64>) -> Result<std::process::ExitStatus> {
    let Some(seconds) = seconds.filter(|seconds| *seconds > 0) else {
        return child.wait().context("wait");
    };
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(status) = child.try_wait().context("wait")? {
            return Ok(status);
        }
        if Instant::now() >= end {
            let _ = child.kill(); // it may have just ended
            let _ = child.wait(); // no zombie is left
            bail!("no end after {seconds} s");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
