//! What `create` and `run` of the runtime face have in common.

use std::path::PathBuf;

use clap::Args;

use crate::base::error::Result;
use crate::cli::descriptors;
use crate::runtime::oci::CreateOptions;

/// Arguments of `runtime create` and `runtime run`.
#[derive(Debug, Args)]
pub(super) struct CreateArgs {
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

impl CreateArgs {
    pub(super) fn options(self) -> Result<CreateOptions> {
        Ok(CreateOptions {
            bundle: self.bundle,
            console_socket: self.console_socket,
            pid_file: self.pid_file,
            preserve_fds: descriptors::counted(self.preserve_fds)?,
            no_pivot: self.no_pivot,
            no_new_keyring: self.no_new_keyring,
        })
    }
}
