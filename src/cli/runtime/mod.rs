//! `dhow runtime`: the OCI runtime command line, so that other engines can use dhow as their runtime.
//!
//! Errors are told as those engines expect it: in the log that they name, and by exit code 1 (255 of `exec`).

mod create;
mod exec;
mod list;
mod log;
mod update;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::session::Session;
use crate::base::error::{Context, Explain, Kind, Result, anyhow, fail, kind_of};
use crate::base::fs;
use crate::base::time::parse_duration;
use crate::container::parse::signal;
use crate::runtime::cgroup::Manager;
use crate::runtime::oci::{self, Rights, Runtime, Wait};
use crate::sys::process::Exit;
use crate::ui::json;

/// Arguments of `runtime`.
#[derive(Debug, Args)]
pub struct RuntimeArgs {
    /// Where containers are known
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Let systemd make the control groups
    #[arg(long)]
    systemd_cgroup: bool,
    /// Whether the caller is an ordinary user: `auto` looks, `true` does without cgroups, `false` enters no user
    /// namespace
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    rootless: Rootless,
    #[command(flatten)]
    log: log::Log,
    /// Show the version
    #[arg(short, long)]
    version: bool,
    #[command(subcommand)]
    verb: Option<Verb>,
}

/// `--rootless`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Rootless {
    True,
    False,
    Auto,
}

/// The verbs of the OCI runtime command line.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a container, ready to start
    Create {
        #[command(flatten)]
        options: create::CreateArgs,
        /// Name of the container
        id: String,
    },
    /// Start a created container
    Start {
        /// Name of the container
        id: String,
    },
    /// Create, start, wait, delete
    Run {
        #[command(flatten)]
        options: create::CreateArgs,
        /// Do not wait
        #[arg(short, long)]
        detach: bool,
        /// Do not delete it after its end
        #[arg(long)]
        keep: bool,
        /// Name of the container
        id: String,
    },
    /// Show the state as JSON
    State {
        /// Name of the container
        id: String,
    },
    /// Send a signal
    Kill {
        /// To all processes, not only the first
        #[arg(short, long)]
        all: bool,
        /// Name of the container
        id: String,
        /// Name or number of the signal
        #[arg(default_value = "TERM")]
        signal: String,
    },
    /// Remove what is left of a container
    Delete {
        /// Kill it first; one that does not exist is fine
        #[arg(short, long)]
        force: bool,
        /// Name of the container
        id: String,
    },
    /// Run a process in a container
    Exec(Box<exec::ExecArgs>),
    /// List containers
    List(list::ListArgs),
    /// List the processes of a container
    Ps(list::PsArgs),
    /// Stop all processes for a while
    Pause {
        /// Name of the container
        id: String,
    },
    /// Let them go on
    Resume {
        /// Name of the container
        id: String,
    },
    /// Change limits of a container
    Update(Box<update::UpdateArgs>),
    /// Report what a container uses, until it ends
    Events {
        /// Report once
        #[arg(long)]
        stats: bool,
        /// Time between two reports
        #[arg(long, default_value = "5s", value_name = "DURATION", value_parser = parse_duration)]
        interval: Duration,
        /// Name of the container
        id: String,
    },
    /// Show what this runtime can, as JSON
    Features,
    /// Write a specification to start from
    Spec {
        /// The directory for `config.json`
        #[arg(short, long, default_value = ".", value_name = "DIR")]
        bundle: PathBuf,
        /// For an ordinary user
        #[arg(long)]
        rootless: bool,
    },
}

impl RuntimeArgs {
    /// Does the verb.
    pub fn run(self, session: &Session) -> Result<()> {
        let failed = if matches!(self.verb, Some(Verb::Exec(_))) { 255 } else { 1 };
        let RuntimeArgs { root, systemd_cgroup, rootless, log, version, verb } = self;
        if version {
            return show_version(session);
        }
        let Some(verb) = verb else {
            return Err(fail(Kind::Usage, "`runtime` needs a verb, such as `create`"));
        };
        let dir = root.unwrap_or_else(|| session.roots.run.join("runtime"));
        log.debug(&format!("root `{}`, {verb:?}", dir.display()));
        let runtime = Runtime {
            dir,
            manager: if systemd_cgroup { Manager::Systemd } else { Manager::Cgroupfs },
            rights: match rootless {
                Rootless::True => Rights::User,
                Rootless::False => Rights::Root,
                Rootless::Auto => Rights::Found,
            },
            warn: Box::new(|error| log.warning(error)),
        };
        match log.check().and_then(|()| verb.run(session, &runtime)) {
            Err(error) if !matches!(kind_of(&error), Kind::Exited(_) | Kind::ClosedPipe) => {
                log.error(&error);
                Err(anyhow!("exit code {failed}").kind(Kind::Exited(failed)))
            }
            done => done,
        }
    }
}

impl Verb {
    fn run(self, session: &Session, runtime: &Runtime<'_>) -> Result<()> {
        match self {
            Verb::Create { options, id } => runtime.create(&id, &options.options()?),
            Verb::Start { id } => runtime.start(&id),
            Verb::Run { options, detach, keep, id } => {
                let wait = match (detach, keep) {
                    (true, _) => Wait::No,
                    (false, true) => Wait::Keep,
                    (false, false) => Wait::Delete,
                };
                ended(runtime.run(&id, &options.options()?, wait)?)
            }
            Verb::State { id } => json::print(&session.out, &runtime.state(&id)?),
            Verb::Kill { all, id, signal } => runtime.kill(&id, signal_of(&signal)?, all),
            Verb::Delete { force, id } => runtime.delete(&id, force),
            Verb::Exec(args) => ended(args.run(runtime)?),
            Verb::List(args) => args.run(session, runtime),
            Verb::Ps(args) => args.run(session, runtime),
            Verb::Pause { id } => runtime.cgroup(&id)?.freeze(),
            Verb::Resume { id } => runtime.cgroup(&id)?.thaw(),
            Verb::Update(args) => args.run(runtime),
            Verb::Events { stats: true, id, .. } => session.out.line(&runtime.stats(&id)?.to_string()),
            Verb::Events { interval, id, .. } => {
                runtime.watch(&id, interval, |event| session.out.now(&event.to_string()))
            }
            Verb::Features => json::print(&session.out, &oci::features()),
            Verb::Spec { bundle, rootless } => write_spec(bundle, rootless),
        }
    }
}

/// The process' exit code is ours.
fn ended(exit: Option<Exit>) -> Result<()> {
    match exit.map(|exit| u8::try_from(exit.code() & 0xff).unwrap_or(255)) {
        None | Some(0) => Ok(()),
        Some(code) => Err(anyhow!("exit code {code}").kind(Kind::Exited(code))),
    }
}

fn signal_of(text: &str) -> Result<i32> {
    // 0 only asks whether the process is there.
    if text == "0" { Ok(0) } else { signal::parse(text) }
}

/// The first line is looked at by engines that show what they run with.
fn show_version(session: &Session) -> Result<()> {
    session.out.line(&format!("dhow version {}", env!("CARGO_PKG_VERSION")))?;
    session.out.line("spec: 1.2.1")
}

fn write_spec(bundle: PathBuf, rootless: bool) -> Result<()> {
    let ids = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let specification = oci::specification(rootless.then_some(ids));
    let mut bytes = serde_json::to_vec_pretty(&specification).context("write JSON")?;
    bytes.push(b'\n');
    fs::write_new(&bundle.join("config.json"), &bytes, 0o644, fs::Durability::Volatile)
}
