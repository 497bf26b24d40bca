//! `start`.

use clap::Args;

use super::select::{Named, print_names};
use super::stay::settle;
use crate::base::error::Result;
use crate::cli::session::Session;
use crate::cli::values::go_bool;
use crate::ops::container::run::{Stay, start, start_attached};
use crate::ops::container::select::Selection;
use crate::runtime::supervisor::Attach;

/// Start containers
#[derive(Debug, Args)]
pub struct StartArgs {
    #[command(flatten)]
    named: Named,
    /// All containers that do not run
    #[arg(long)]
    all: bool,
    /// Stay and show what it writes
    #[arg(short, long)]
    attach: bool,
    /// Stay and connect stdin too
    #[arg(short, long)]
    interactive: bool,
    /// Keys that detach: a sequence such as ctrl-p,ctrl-q
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Only those that fit: KEY=VALUE
    #[arg(short, long, value_name = "FILTER")]
    filter: Vec<String>,
    /// Pass signals on to the container (default true with --attach)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool)]
    sig_proxy: Option<bool>,
}

impl StartArgs {
    /// Starts them, or one to stay with.
    pub fn run(self, session: &Session) -> Result<()> {
        let ops = session.ops()?;
        let select = Selection { all: self.all, filters: self.filter, ..self.named.select() };
        if !self.attach && !self.interactive {
            return print_names(session, start(ops, &select)?);
        }
        let attach = Attach { stdin: self.interactive, stdout: true, stderr: true };
        let stay = Stay { attach, sig_proxy: self.sig_proxy.unwrap_or(true) };
        settle(session, start_attached(ops, &select, stay, self.detach_keys.as_deref())?)
    }
}
