//! What a Dockerfile says, with its words as they are written: nothing is expanded yet.

use std::sync::Arc;
use std::time::Duration;

use crate::base::error::Error;
use crate::base::text::printable;

/// The escape character where no `# escape=` says otherwise.
pub const DEFAULT_ESCAPE: char = '\\';

/// A parsed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// The `# key=value` lines at the very top.
    pub directives: Directives,
    /// `ARG`s before the first `FROM`, in order; [`Globals`](super::Globals) evaluates them.
    pub args: Vec<GlobalArg>,
    /// At least one.
    pub stages: Vec<Stage>,
    /// What is accepted but looks like a mistake, by line.
    pub warnings: Vec<Warning>,
}

/// `# syntax=`, `# escape=`, `# check=`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directives {
    /// The frontend that was asked for; never fetched.
    pub syntax: Option<String>,
    /// `\` or `` ` ``.
    pub escape: char,
    /// The options of Docker's build checks; of no effect.
    pub check: Option<String>,
}

impl Default for Directives {
    fn default() -> Self {
        Directives { syntax: None, escape: DEFAULT_ESCAPE, check: None }
    }
}

/// Something odd that does not stop the build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// 1-based.
    pub line: u32,
    /// Without full stop; may contain words of the file, so print it escaped.
    pub message: String,
}

/// Where an instruction stands, and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The name of the file as given to [`parse`](super::parse).
    pub file: Arc<str>,
    /// Its first line, 1-based.
    pub first: u32,
    /// Its last line, heredocs included.
    pub last: u32,
    /// The instruction as one line: continuations joined, comments inside it dropped, outer blanks trimmed;
    /// heredocs are not in it. History, `STEP` lines and cache keys show this.
    pub text: String,
    /// The heredocs that follow it, as written, without their terminating lines; part of the cache key.
    pub heredocs: Vec<Heredoc>,
}

impl Source {
    /// ``Dockerfile:3: `COPY a b` ``, to put in front of what went wrong there; safe to print.
    pub fn place(&self) -> String {
        const LONG: usize = 200;
        let mut text: String = self.text.chars().take(LONG).collect();
        if text.len() < self.text.len() {
            text.push('…');
        }
        format!("{}:{}: `{}`", printable(&self.file), self.first, printable(&text))
    }

    /// Adds [`Source::place`] to an error.
    pub fn explain(&self, error: Error) -> Error {
        error.context(self.place())
    }
}

/// One `ARG` instruction before the first `FROM`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlobalArg {
    /// Where.
    pub source: Source,
    /// The escape character of the file.
    pub escape: char,
    /// Its names with raw defaults.
    pub args: Vec<ArgDecl>,
}

/// `NAME` or `NAME=DEFAULT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgDecl {
    /// The name.
    pub name: String,
    /// The default: raw in an [`Instruction`], expanded in an [`Action`](super::Action).
    pub default: Option<String>,
}

/// One `FROM` and what follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// From zero, as `COPY --from=0` counts.
    pub index: usize,
    /// `AS name`, in lower case.
    pub name: Option<String>,
    /// The base as written; expanded with the global arguments only ([`graph::plan`](super::graph::plan) does).
    pub base: String,
    /// `--platform` as written.
    pub platform: Option<String>,
    /// The `FROM` line.
    pub source: Source,
    /// The escape character of the file.
    pub escape: char,
    /// What follows, in order.
    pub steps: Vec<Step>,
}

impl Stage {
    /// The name, or the number of a stage without one.
    pub fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.index.to_string())
    }
}

/// One instruction of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Where, and its text.
    pub source: Source,
    /// The escape character of its file.
    pub escape: char,
    /// What it says.
    pub instruction: Instruction,
}

/// An instruction with raw words; [`Step::expand`] makes an [`Action`](super::Action) of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instruction {
    /// `ARG NAME[=DEFAULT]…`
    Arg(Vec<ArgDecl>),
    /// `ENV NAME=VALUE…` or `ENV NAME VALUE`
    Env(Vec<(String, String)>),
    /// `LABEL NAME=VALUE…` or `LABEL NAME VALUE`
    Label(Vec<(String, String)>),
    /// `MAINTAINER TEXT`
    Maintainer(String),
    /// `RUN`
    Run(Run),
    /// `COPY`
    Copy(Transfer),
    /// `ADD`
    Add(Transfer),
    /// `CMD`
    Cmd(Command),
    /// `ENTRYPOINT`
    Entrypoint(Command),
    /// `WORKDIR PATH`
    Workdir(String),
    /// `USER NAME[:GROUP]`
    User(String),
    /// `VOLUME PATH…`
    Volume(Vec<String>),
    /// `EXPOSE PORT[-PORT][/PROTOCOL]…`
    Expose(Vec<String>),
    /// `STOPSIGNAL SIGNAL`
    StopSignal(String),
    /// `HEALTHCHECK`
    Healthcheck(Healthcheck),
    /// `SHELL ["…"]`
    Shell(Vec<String>),
    /// `ONBUILD INSTRUCTION`: the trigger verbatim, heredocs included.
    Onbuild(String),
}

impl Instruction {
    /// The keyword in upper case.
    pub fn keyword(&self) -> &'static str {
        match self {
            Instruction::Arg(_) => "ARG",
            Instruction::Env(_) => "ENV",
            Instruction::Label(_) => "LABEL",
            Instruction::Maintainer(_) => "MAINTAINER",
            Instruction::Run(_) => "RUN",
            Instruction::Copy(_) => "COPY",
            Instruction::Add(_) => "ADD",
            Instruction::Cmd(_) => "CMD",
            Instruction::Entrypoint(_) => "ENTRYPOINT",
            Instruction::Workdir(_) => "WORKDIR",
            Instruction::User(_) => "USER",
            Instruction::Volume(_) => "VOLUME",
            Instruction::Expose(_) => "EXPOSE",
            Instruction::StopSignal(_) => "STOPSIGNAL",
            Instruction::Healthcheck(_) => "HEALTHCHECK",
            Instruction::Shell(_) => "SHELL",
            Instruction::Onbuild(_) => "ONBUILD",
        }
    }
}

/// The two forms of `CMD`, `ENTRYPOINT` and a health check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A line for the stage's shell (`SHELL`, by default `/bin/sh -c`).
    Shell(String),
    /// A JSON array: the words of the command itself. Empty clears.
    Exec(Vec<String>),
}

/// What a `RUN` runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunCommand {
    /// A text for the stage's shell: a line, a line followed by its heredocs (the shell reads them), or the content
    /// of a lone heredoc.
    Shell(String),
    /// A lone heredoc that begins with `#!`: a file to be executed, of this content.
    Script(String),
    /// A JSON array: no shell.
    Exec(Vec<String>),
}

/// `RUN [--mount=…]… [--network=…] [--security=…] COMMAND`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Raw values of `--mount`; their option names are checked already.
    pub mounts: Vec<String>,
    /// `--network`
    pub network: Network,
    /// `--security`
    pub security: Security,
    /// Never expanded: the shell does.
    pub command: RunCommand,
}

/// `RUN --network`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Network {
    /// As the build says.
    #[default]
    Default,
    /// Loopback only.
    None,
    /// The host's.
    Host,
}

/// `RUN --security`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Security {
    /// As the build says.
    #[default]
    Sandbox,
    /// Privileged.
    Insecure,
}

/// `COPY` and `ADD` with raw words. Flags that an instruction does not have keep their default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transfer {
    /// What is copied, in order; not empty.
    pub sources: Vec<TransferSource>,
    /// Where to.
    pub dest: String,
    /// `--from` (COPY): a stage's name or number, an image or a build context.
    pub from: Option<String>,
    /// `--chown=USER[:GROUP]`
    pub chown: Option<String>,
    /// `--chmod`, see [`chmod`](super::chmod).
    pub chmod: Option<String>,
    /// `--link`
    pub link: bool,
    /// `--parents` (COPY).
    pub parents: bool,
    /// `--exclude`, several; patterns as in `.dockerignore`.
    pub exclude: Vec<String>,
    /// `--checksum=sha256:…` of a URL or a commit of a git source (ADD).
    pub checksum: Option<String>,
    /// `--keep-git-dir` (ADD).
    pub keep_git_dir: bool,
    /// `--unpack` (ADD): `None` unpacks local tars only.
    pub unpack: Option<bool>,
}

/// A source of `COPY` or `ADD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferSource {
    /// A path, glob, URL or git URL.
    Path(String),
    /// A file given in place.
    Inline(Heredoc),
}

/// `<<[-]NAME` and the lines up to `NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heredoc {
    /// The delimiting word without quotes: the name of the file for `COPY`.
    pub name: String,
    /// The lines, tabs stripped for `<<-` in `COPY` and `ADD`, each ending in a newline.
    pub content: String,
    /// Whether variables in it are expanded (the word was not quoted). `RUN` leaves that to the shell.
    pub expand: bool,
    /// `<<-`
    pub strip_tabs: bool,
}

/// `HEALTHCHECK`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Healthcheck {
    /// `HEALTHCHECK NONE`
    None,
    /// `HEALTHCHECK [options] CMD …`; what is not said is `None` (the runtime's default).
    Cmd {
        /// What is run.
        command: Command,
        /// `--interval`
        interval: Option<Duration>,
        /// `--timeout`
        timeout: Option<Duration>,
        /// `--start-period`
        start_period: Option<Duration>,
        /// `--start-interval`
        start_interval: Option<Duration>,
        /// `--retries`
        retries: Option<u32>,
    },
}
