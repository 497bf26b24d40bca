//! `dhow runtime`: the OCI runtime command line, so that other engines can use dhow as their runtime.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use oci_spec::runtime::{Process, Spec};

use super::session::Session;
use crate::base::error::{Explain, Kind, Result, anyhow, fail};
use crate::base::fs;
use crate::runtime::cgroup::Manager;
use crate::runtime::oci::{CreateOptions, Runtime};
use crate::sys::process::{Exit, signal_number};
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
    /// Ignored: errors go to standard error
    #[arg(long, value_name = "FILE", hide = true)]
    log: Option<PathBuf>,
    /// Ignored: errors are text
    #[arg(long, value_name = "FORMAT", hide = true)]
    log_format: Option<String>,
    #[command(subcommand)]
    verb: Verb,
}

/// The verbs of the OCI runtime command line.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a container, ready to start
    Create {
        #[command(flatten)]
        options: CreateArgs,
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
        options: CreateArgs,
        /// Do not wait
        #[arg(short, long)]
        detach: bool,
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
        /// Kill it first
        #[arg(short, long)]
        force: bool,
        /// Name of the container
        id: String,
    },
    /// Run a process in a container
    Exec(Box<ExecArgs>),
    /// List containers
    List {
        /// `table` or `json`
        #[arg(short, long, default_value = "table")]
        format: String,
        /// Names only
        #[arg(short, long)]
        quiet: bool,
    },
    /// List the processes of a container as JSON
    Ps {
        /// Name of the container
        id: String,
    },
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
    /// Write a specification to start from
    Spec,
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// The directory with `config.json`
    #[arg(short, long, default_value = ".", value_name = "DIR")]
    bundle: PathBuf,
    /// Where the terminal's master is sent
    #[arg(long, value_name = "SOCKET")]
    console_socket: Option<PathBuf>,
    /// Where the pid is written
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// How many further descriptors the command gets
    #[arg(long, default_value_t = 0, value_name = "N")]
    preserve_fds: u32,
    /// Move the root instead of pivoting to it
    #[arg(long)]
    no_pivot: bool,
    /// Keep the caller's session keyring
    #[arg(long)]
    no_new_keyring: bool,
}

#[derive(Debug, Args)]
struct ExecArgs {
    /// A process section of a specification, instead of words
    #[arg(short, long, value_name = "FILE")]
    process: Option<PathBuf>,
    /// Working directory
    #[arg(long, value_name = "DIR")]
    cwd: Option<PathBuf>,
    /// Environment variable `NAME=VALUE`
    #[arg(short, long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Allocate a terminal
    #[arg(short, long)]
    tty: bool,
    /// `UID[:GID]`
    #[arg(short, long)]
    user: Option<String>,
    /// Do not wait
    #[arg(short, long)]
    detach: bool,
    /// Where the terminal's master is sent
    #[arg(long, value_name = "SOCKET")]
    console_socket: Option<PathBuf>,
    /// Where the pid is written
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// How many further descriptors the command gets
    #[arg(long, default_value_t = 0, value_name = "N")]
    preserve_fds: u32,
    /// Name of the container
    id: String,
    /// The command
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

impl CreateArgs {
    fn options(self) -> CreateOptions {
        CreateOptions {
            bundle: self.bundle,
            console_socket: self.console_socket,
            pid_file: self.pid_file,
            preserve_fds: self.preserve_fds,
            no_pivot: self.no_pivot,
            no_new_keyring: self.no_new_keyring,
        }
    }
}

impl RuntimeArgs {
    /// Does the verb.
    pub fn run(self, session: &Session) -> Result<()> {
        let dir = self.root.clone().unwrap_or_else(|| session.roots.run.join("runtime"));
        let manager = if self.systemd_cgroup { Manager::Systemd } else { Manager::Cgroupfs };
        let runtime = Runtime::new(dir, Some(manager));
        match self.verb {
            Verb::Create { options, id } => runtime.create(&id, &options.options()),
            Verb::Start { id } => runtime.start(&id),
            Verb::Run { options, detach, id } => ended(runtime.run(&id, &options.options(), detach)?),
            Verb::State { id } => json::print(&session.out, &runtime.state(&id)?),
            Verb::Kill { all, id, signal } => runtime.kill(&id, signal_of(&signal)?, all),
            Verb::Delete { force, id } => runtime.delete(&id, force),
            Verb::Exec(args) => exec(&runtime, *args),
            Verb::List { format, quiet } => list(session, &runtime, &format, quiet),
            Verb::Ps { id } => json::print(&session.out, &runtime.cgroup(&id)?.pids()?),
            Verb::Pause { id } => runtime.cgroup(&id)?.freeze(),
            Verb::Resume { id } => runtime.cgroup(&id)?.thaw(),
            Verb::Spec => write_spec(),
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
    signal_number(text).ok_or_else(|| fail(Kind::Usage, format!("`{text}` is no signal")))
}

fn exec(runtime: &Runtime, args: ExecArgs) -> Result<()> {
    let mut process = match &args.process {
        Some(path) => fs::read_json::<Process>(path)?,
        None => {
            let mut process = runtime.process_of(&args.id)?;
            process.set_args(Some(args.command)).set_terminal(Some(args.tty));
            process
        }
    };
    if let Some(cwd) = args.cwd {
        process.set_cwd(cwd);
    }
    let mut env = process.env().clone().unwrap_or_default();
    env.extend(args.env);
    process.set_env(Some(env));
    if let Some(text) = &args.user {
        let (uid, gid) = text.split_once(':').unwrap_or((text, "0"));
        let number = |word: &str| {
            word.parse::<u32>().map_err(|_| fail(Kind::Usage, format!("`{word}` is no numeric id")))
        };
        let mut user = process.user().clone();
        user.set_uid(number(uid)?).set_gid(number(gid)?);
        process.set_user(user);
    }
    let options = CreateOptions {
        console_socket: args.console_socket,
        pid_file: args.pid_file,
        preserve_fds: args.preserve_fds,
        ..CreateOptions::default()
    };
    ended(runtime.exec(&args.id, process, &options, args.detach)?)
}

fn list(session: &Session, runtime: &Runtime, format: &str, quiet: bool) -> Result<()> {
    let states = runtime.list()?;
    if format == "json" {
        return json::print(&session.out, &states);
    }
    if !quiet {
        session.out.line("ID\tPID\tSTATUS\tBUNDLE\tCREATED")?;
    }
    for state in states {
        session.out.line(&match quiet {
            true => state.id,
            false => format!(
                "{}\t{}\t{}\t{}\t{}",
                state.id,
                state.pid,
                state.status,
                state.bundle.display(),
                state.created
            ),
        })?;
    }
    Ok(())
}

fn write_spec() -> Result<()> {
    let path = PathBuf::from("config.json");
    let bytes = serde_json::to_vec_pretty(&Spec::default())?;
    fs::write_new(&path, &bytes, 0o644, fs::Durability::Volatile)
}
