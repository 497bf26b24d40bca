//! `attach`.

use clap::Args;

use super::select::one_name;
use super::stay::settle;
use crate::base::error::Result;
use crate::cli::names;
use crate::cli::session::Session;
use crate::cli::values::go_bool;
use crate::ops::container::attach::attach;
use crate::ops::container::run::Stay;
use crate::runtime::supervisor::Attach;

/// Connect to a running container
#[derive(Debug, Args)]
pub struct AttachArgs {
    /// The container made last
    #[arg(short, long)]
    latest: bool,
    /// Keys that detach: a sequence such as ctrl-p,ctrl-q
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Leave stdin alone
    #[arg(long)]
    no_stdin: bool,
    /// Pass signals on to the container (default true)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool)]
    sig_proxy: Option<bool>,
    /// Name or id
    #[arg(add = names::containers())]
    container: Option<String>,
}

impl AttachArgs {
    /// Connects, and ends with the container's exit code.
    pub fn run(self, session: &Session) -> Result<()> {
        let ops = session.ops()?;
        let name = one_name(ops, self.container, self.latest)?;
        let streams = Attach { stdin: !self.no_stdin, stdout: true, stderr: true };
        let stay = Stay { attach: streams, sig_proxy: self.sig_proxy.unwrap_or(true) };
        settle(session, attach(ops, &name, stay, self.detach_keys.as_deref())?)
    }
}
