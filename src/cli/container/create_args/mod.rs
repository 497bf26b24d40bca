//! The flags that `run` and `create` share, in themed groups; together they fill one
//! [`CreateOptions`].

mod files;
mod health;
mod image;
mod life;
mod network;
mod process;
mod resources;
mod security;

use clap::{ArgAction, Args};

pub use resources::ResourceArgs;

use crate::base::error::Result;
use crate::ops::create::CreateOptions;

/// All flags of `create`; `run` adds its own.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct CreateFlags {
    #[command(flatten)]
    life: life::LifeArgs,
    #[command(flatten)]
    process: process::ProcessArgs,
    #[command(flatten)]
    files: files::FileArgs,
    #[command(flatten)]
    network: network::NetworkArgs,
    #[command(flatten)]
    namespaces: network::NamespaceArgs,
    #[command(flatten)]
    security: security::SecurityArgs,
    #[command(flatten)]
    resources: resources::ResourceArgs,
    #[command(flatten)]
    health: health::HealthArgs,
    #[command(flatten)]
    image: image::ImageArgs,
    /// Print help
    // `-h` is the hostname.
    #[arg(long, action = ArgAction::Help)]
    help: (),
    /// Image, or with --rootfs a directory; then the command and its arguments, if not the image's
    #[arg(required = true, trailing_var_arg = true, value_name = "IMAGE [COMMAND [ARG]...]", add = crate::cli::names::images())]
    words: Vec<String>,
}

impl CreateFlags {
    /// What was typed, as plain data.
    pub fn options(self) -> Result<CreateOptions> {
        let mut options = CreateOptions::default();
        let mut words = self.words.into_iter();
        options.image = words.next().unwrap_or_default();
        options.command = words.collect();
        options.create_command = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
        self.life.fill(&mut options);
        self.process.fill(&mut options);
        self.files.fill(&mut options);
        self.network.fill(&mut options);
        self.namespaces.fill(&mut options);
        self.security.fill(&mut options);
        self.resources.fill(&mut options);
        self.health.fill(&mut options);
        self.image.fill(&mut options)?;
        Ok(options)
    }
}

#[cfg(test)]
mod tests;
