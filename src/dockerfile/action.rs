//! What a step does: an instruction whose words are expanded and checked.

use super::ast::{ArgDecl, Command, Healthcheck, Network, RunCommand, Security, Step};
use super::chmod::Chmod;
use super::expose::Port;
use super::mount::Mount;
use super::scope::Variables;
use crate::base::error::{Result, bail};

/// An expanded instruction; see [`Instruction`](super::Instruction) for the forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// `ARG`, defaults expanded; [`Scope::apply`](super::Scope::apply) gives them their values.
    Arg(Vec<ArgDecl>),
    /// `ENV`
    Env(Vec<(String, String)>),
    /// `LABEL`
    Label(Vec<(String, String)>),
    /// `MAINTAINER`
    Maintainer(String),
    /// `RUN`
    Run(Run),
    /// `COPY`
    Copy(Transfer),
    /// `ADD`
    Add(Transfer),
    /// `CMD`; an empty `Exec` clears.
    Cmd(Command),
    /// `ENTRYPOINT`; an empty `Exec` clears.
    Entrypoint(Command),
    /// `WORKDIR`, not empty, may be relative to the last one.
    Workdir(String),
    /// `USER`, not empty.
    User(String),
    /// `VOLUME`, none empty.
    Volume(Vec<String>),
    /// `EXPOSE`, ranges made single ports, in the order written.
    Expose(Vec<Port>),
    /// `STOPSIGNAL`, a valid name or number as written.
    StopSignal(String),
    /// `HEALTHCHECK`
    Healthcheck(Healthcheck),
    /// `SHELL`
    Shell(Vec<String>),
    /// `ONBUILD`: the trigger verbatim, for the configuration.
    Onbuild(String),
}

/// `RUN`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// `--mount`, in order.
    pub mounts: Vec<Mount>,
    /// `--network`
    pub network: Network,
    /// `--security`
    pub security: Security,
    /// What is run.
    pub command: RunCommand,
}

/// `COPY` and `ADD`. Flags that an instruction does not have keep their default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transfer {
    /// What is copied, in order; not empty.
    pub sources: Vec<TransferSource>,
    /// Where to; not empty; a trailing `/` says that it is a directory.
    pub dest: String,
    /// `--from`, for [`graph::origin`](super::graph::origin).
    pub from: Option<String>,
    /// `--chown=USER[:GROUP]`
    pub chown: Option<String>,
    /// `--chmod`
    pub chmod: Option<Chmod>,
    /// `--link`
    pub link: bool,
    /// `--parents`
    pub parents: bool,
    /// `--exclude`; patterns for [`ignore::Ignore::from_patterns`](super::ignore::Ignore::from_patterns).
    pub exclude: Vec<String>,
    /// `--checksum`
    pub checksum: Option<String>,
    /// `--keep-git-dir`
    pub keep_git_dir: bool,
    /// `--unpack`: `None` unpacks local tars only.
    pub unpack: Option<bool>,
}

/// A source of `COPY` or `ADD`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferSource {
    /// A path, glob, URL or git URL.
    Path(String),
    /// A file given in place.
    Inline {
        /// Its name.
        name: String,
        /// Its content, variables expanded.
        content: String,
    },
}

impl Step {
    /// Expands the words with the variables as they stand before this step and checks what comes out. Errors carry
    /// the place in the file.
    pub fn expand(&self, variables: &dyn Variables) -> Result<Action> {
        let _ = variables;
        bail!("not there yet")
    }
}
