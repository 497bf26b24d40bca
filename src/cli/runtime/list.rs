//! `dhow runtime list` and `dhow runtime ps`

use std::process::Command;

use clap::{Args, ValueEnum};

use crate::base::error::{Context, Result, bail};
use crate::cli::session::Session;
use crate::runtime::oci::Runtime;
use crate::ui::{json, table};

/// How a list is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Columns.
    Table,
    /// One document.
    Json,
}

/// Arguments of `runtime list`.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// How to show them
    #[arg(short, long, default_value = "table")]
    format: Format,
    /// Names only
    #[arg(short, long)]
    quiet: bool,
}

/// Arguments of `runtime ps`.
#[derive(Debug, Args)]
pub(super) struct PsArgs {
    /// How to show them
    #[arg(short, long, default_value = "table")]
    format: Format,
    /// Name of the container
    id: String,
    /// Options of `ps`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

impl ListArgs {
    pub(super) fn run(self, session: &Session, runtime: &Runtime<'_>) -> Result<()> {
        let states = runtime.list()?;
        if self.quiet {
            return states.iter().try_for_each(|state| session.out.line(&state.id));
        }
        if self.format == Format::Json {
            return json::print(&session.out, &states);
        }
        let mut text = "ID\tPID\tSTATUS\tBUNDLE\tCREATED\tOWNER\n".to_owned();
        for state in states {
            let bundle = state.bundle.display();
            text.push_str(&format!(
                "{}\t{}\t{}\t{bundle}\t{}\t{}\n",
                state.id, state.pid, state.status, state.created, state.owner
            ));
        }
        session.out.text(&table::align(&text))
    }
}

impl PsArgs {
    pub(super) fn run(self, session: &Session, runtime: &Runtime<'_>) -> Result<()> {
        let pids = runtime.pids(&self.id)?;
        if self.format == Format::Json {
            return json::print(&session.out, &pids);
        }
        let options = if self.options.is_empty() { vec!["-ef".to_owned()] } else { self.options };
        let output = Command::new("ps").args(&options).output().context("run `ps`")?;
        if !output.status.success() {
            bail!("`ps` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let mut lines = text.lines();
        let heading = lines.next().unwrap_or_default();
        let Some(column) = heading.split_whitespace().position(|word| word == "PID") else {
            bail!("`ps {}` shows no PID", options.join(" "));
        };
        session.out.line(heading)?;
        let ours = |line: &&str| {
            let pid = line.split_whitespace().nth(column).and_then(|word| word.parse::<i32>().ok());
            pid.is_some_and(|pid| pids.contains(&pid))
        };
        lines.filter(ours).try_for_each(|line| session.out.line(line))
    }
}
