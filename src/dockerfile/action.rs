//! What a step does: an instruction whose words are expanded and checked.

use std::cell::Cell;

use super::ast::{self, ArgDecl, Command, Healthcheck, Instruction, Network, RunCommand, Security, Step};
use super::expose::{self, Port};
use super::mount::{self, Mount};
use super::scope::Variables;
use super::{expand, ignore};
use crate::base::chmod::Chmod;
use crate::base::error::{Result, usage};
use crate::base::signal;

/// The most ports of one `EXPOSE`: all of them, of two protocols.
const MAX_PORTS: usize = 1 << 17;

/// The most that the words of one instruction may grow to, in bytes.
const MAX_WORDS: usize = 8 << 20;

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
        let words = Words { variables, escape: self.escape, left: Cell::new(MAX_WORDS) };
        words.action(&self.instruction).map_err(|error| self.source.explain(error))
    }
}

/// Expands with the variables of a step.
struct Words<'a> {
    variables: &'a dyn Variables,
    escape: char,
    /// Bytes that may still come out.
    left: Cell<usize>,
}

impl Words<'_> {
    fn action(&self, instruction: &Instruction) -> Result<Action> {
        Ok(match instruction {
            Instruction::Arg(args) => Action::Arg(self.args(args)?),
            Instruction::Env(pairs) => Action::Env(self.pairs(pairs)?),
            Instruction::Label(pairs) => Action::Label(self.pairs(pairs)?),
            Instruction::Maintainer(text) => Action::Maintainer(text.clone()),
            Instruction::Run(run) => Action::Run(self.run(run)?),
            Instruction::Copy(transfer) => Action::Copy(self.transfer(transfer)?),
            Instruction::Add(transfer) => Action::Add(self.transfer(transfer)?),
            Instruction::Cmd(command) => Action::Cmd(command.clone()),
            Instruction::Entrypoint(command) => Action::Entrypoint(command.clone()),
            Instruction::Workdir(path) => Action::Workdir(self.filled("path", path)?),
            Instruction::User(user) => Action::User(self.filled("user", user)?),
            Instruction::Volume(paths) => {
                let paths = paths.iter().map(|path| self.filled("path", path));
                Action::Volume(paths.collect::<Result<_>>()?)
            }
            Instruction::Expose(words) => Action::Expose(self.ports(words)?),
            Instruction::StopSignal(text) => {
                let text = self.filled("signal", text)?;
                signal::parse(&text)?;
                Action::StopSignal(text)
            }
            Instruction::Healthcheck(check) => Action::Healthcheck(check.clone()),
            Instruction::Shell(words) => Action::Shell(words.clone()),
            Instruction::Onbuild(trigger) => Action::Onbuild(trigger.clone()),
        })
    }

    fn word(&self, text: &str) -> Result<String> {
        self.spend(expand::word(text, self.variables, self.escape)?)
    }

    fn spend(&self, word: String) -> Result<String> {
        let left = self.left.get().checked_sub(word.len());
        self.left.set(left.ok_or_else(|| usage(format!("the words grow longer than {MAX_WORDS} bytes")))?);
        Ok(word)
    }

    /// A word that must not come out empty.
    fn filled(&self, what: &str, text: &str) -> Result<String> {
        let word = self.word(text)?;
        if word.is_empty() { Err(usage(format!("the {what} `{text}` is empty"))) } else { Ok(word) }
    }

    fn option(&self, text: &Option<String>) -> Result<Option<String>> {
        let word = text.as_deref().map(|text| self.word(text)).transpose()?;
        Ok(word.filter(|word| !word.is_empty()))
    }

    fn args(&self, args: &[ArgDecl]) -> Result<Vec<ArgDecl>> {
        let arg = |arg: &ArgDecl| {
            let default = arg.default.as_deref().map(|default| self.word(default)).transpose()?;
            Ok(ArgDecl { name: self.filled("name", &arg.name)?, default })
        };
        args.iter().map(arg).collect()
    }

    fn pairs(&self, pairs: &[(String, String)]) -> Result<Vec<(String, String)>> {
        let pair = |(name, value): &(String, String)| Ok((self.filled("name", name)?, self.word(value)?));
        pairs.iter().map(pair).collect()
    }

    fn run(&self, run: &ast::Run) -> Result<Run> {
        let mounts = run.mounts.iter().map(|text| mount::parse(text, &|value| self.word(value)));
        Ok(Run {
            mounts: mounts.collect::<Result<_>>()?,
            network: run.network,
            security: run.security,
            command: run.command.clone(),
        })
    }

    /// Values may hold several ports, separated by blanks.
    fn ports(&self, words: &[String]) -> Result<Vec<Port>> {
        let mut ports = Vec::new();
        for word in words {
            for port in self.word(word)?.split_whitespace() {
                ports.extend(expose::parse(port)?);
                if ports.len() > MAX_PORTS {
                    return Err(usage(format!("more than {MAX_PORTS} ports")));
                }
            }
        }
        Ok(ports)
    }

    fn transfer(&self, transfer: &ast::Transfer) -> Result<Transfer> {
        let exclude: Vec<String> =
            transfer.exclude.iter().map(|text| self.word(text)).collect::<Result<_>>()?;
        ignore::Ignore::from_patterns(&exclude)?;
        let chmod = self.option(&transfer.chmod)?;
        Ok(Transfer {
            sources: transfer.sources.iter().map(|source| self.source(source)).collect::<Result<_>>()?,
            dest: self.filled("destination", &transfer.dest)?,
            from: self.option(&transfer.from)?,
            chown: self.option(&transfer.chown)?,
            chmod: chmod.as_deref().map(Chmod::parse).transpose()?,
            link: transfer.link,
            parents: transfer.parents,
            exclude,
            checksum: self.option(&transfer.checksum)?,
            keep_git_dir: transfer.keep_git_dir,
            unpack: transfer.unpack,
        })
    }

    fn source(&self, source: &ast::TransferSource) -> Result<TransferSource> {
        Ok(match source {
            ast::TransferSource::Path(path) => TransferSource::Path(self.filled("source", path)?),
            ast::TransferSource::Inline(heredoc) => TransferSource::Inline {
                name: heredoc.name.clone(),
                content: match heredoc.expand {
                    true => self.spend(expand::heredoc(&heredoc.content, self.variables, self.escape)?)?,
                    false => heredoc.content.clone(),
                },
            },
        })
    }
}
