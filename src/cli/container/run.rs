//! `run`.

use clap::Args;

use super::create::{make, print_warnings};
use super::create_args::CreateFlags;
use super::stay::{attached, settle};
use crate::base::error::{Kind, Result, fail};
use crate::cli::descriptors::DescriptorArgs;
use crate::cli::session::Session;
use crate::cli::values::go_bool;
use crate::ops::container::run::{Stay, run};

/// Run a command in a new container
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Leave it in the background and print its id
    #[arg(short, long)]
    detach: bool,
    /// Pass signals on to the container (default true)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool)]
    sig_proxy: Option<bool>,
    /// Remove the image with the container, unless something else uses it
    #[arg(long)]
    rmi: bool,
    #[command(flatten)]
    descriptors: DescriptorArgs,
    /// Write the user and group to /etc/passwd and /etc/group (default true)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool)]
    passwd: Option<bool>,
    #[command(flatten)]
    flags: CreateFlags,
}

impl RunArgs {
    /// Runs it and ends as it ends, or leaves it in the background.
    pub fn run(self, session: &Session) -> Result<()> {
        let preserve_fd = self.descriptors.numbers()?;
        let mut options = self.flags.options()?;
        options.detach = self.detach;
        options.sig_proxy = self.sig_proxy;
        options.rmi = self.rmi;
        options.preserve_fd = preserve_fd;
        options.passwd = self.passwd;
        if self.detach && !options.attach.is_empty() {
            return Err(fail(Kind::Usage, "`--attach` and `--detach` cannot go together"));
        }
        let attach = attached(&options.attach, options.interactive)?;
        let stay = Stay { attach, sig_proxy: self.sig_proxy.unwrap_or(true) };
        let made = make(session, options)?;
        print_warnings(session, &made.warnings);
        let id = made.container.config.id.clone();
        let outcome = run(session.ops()?, made, (!self.detach).then_some(stay))?;
        if self.detach {
            return session.out.line(&id);
        }
        settle(session, outcome)
    }
}
