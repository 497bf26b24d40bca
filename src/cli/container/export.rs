//! `export`.

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use clap::Args;

use super::select::one_name;
use crate::base::error::{Context, Explain, Kind, Result, fail};
use crate::base::fs;
use crate::cli::names;
use crate::cli::session::Session;
use crate::ops::container::changes::write_root;
use crate::ui::printer;

/// Write a container's file system as a tar archive
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// File to write, in place of standard output
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// The container made last
    #[arg(short, long)]
    latest: bool,
    /// Container, by name or id
    #[arg(value_name = "CONTAINER", add = names::containers())]
    container: Option<String>,
}

impl ExportArgs {
    /// Writes it.
    pub fn run(self, session: &Session) -> Result<()> {
        let ops = session.ops()?;
        let container = ops.containers()?.resolve(&one_name(ops, self.container, self.latest)?)?;
        let Some(path) = &self.output else {
            if printer::stdout_is_terminal() {
                return Err(fail(Kind::Usage, "refusing to write an archive to a terminal")
                    .hint("use --output FILE, or redirect standard output"));
            }
            let mut out = BufWriter::with_capacity(256 << 10, std::io::stdout().lock());
            write_root(ops, &container, &mut out)?;
            return printer::written(out.flush());
        };
        let mut out = BufWriter::with_capacity(256 << 10, fs::create(path)?);
        let written =
            write_root(ops, &container, &mut out).and_then(|()| out.flush().context("write the archive"));
        if written.is_err() {
            let _ = fs::remove_file(path); // the first error is the one to tell
        }
        written.with_context(|| format!("export to `{}`", path.display()))
    }
}
