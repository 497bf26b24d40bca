//! Commands about images: the noun `image`, and the short spellings at the top.

pub mod build;
mod build_args;
pub mod builder;
pub mod copy;
pub mod exists;
pub mod history;
pub mod import;
pub mod inspect;
pub mod load;
pub mod ls;
mod ls_row;
pub(super) use ls_row::parts;
pub mod mount;
pub mod prune;
pub mod pull;
pub mod push;
pub mod rm;
pub mod save;
pub mod scp;
pub mod tag;
pub mod tree;
pub mod trust;

use clap::Subcommand;

use super::session::Session;
use crate::base::error::Result;

/// Commands about images
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum ImageCommand {
    /// Build an image from a Dockerfile
    Build(Box<build::BuildArgs>),
    /// Copy an image from one place to another without storing it
    #[command(visible_alias = "cp")]
    Copy(copy::ImageCopyArgs),
    /// Show what the last layer of an image changed
    Diff(super::diff::ImageDiffArgs),
    /// Tell by the exit code whether an image is here
    Exists(exists::ImageExistsArgs),
    /// Show how an image came about
    History(history::HistoryArgs),
    /// Make an image of one layer from the archive of a file system
    Import(import::ImportArgs),
    /// Show everything about images
    Inspect(inspect::ImageInspectArgs),
    /// Load images from an archive
    Load(load::LoadArgs),
    /// List images
    #[command(visible_alias = "list")]
    Ls(ls::ImageLsArgs),
    /// Mount images read-only
    Mount(mount::ImageMountArgs),
    /// Remove images that nothing needs
    Prune(prune::ImagePruneArgs),
    /// Pull images from a registry
    Pull(pull::PullArgs),
    /// Push an image to a registry
    Push(push::PushArgs),
    /// Remove images
    #[command(visible_alias = "remove")]
    Rm(rm::ImageRmArgs),
    /// Save images to an archive
    Save(save::SaveArgs),
    /// Copy an image to or from another machine
    Scp(scp::ImageScpArgs),
    /// Give an image more names
    Tag(tag::TagArgs),
    /// Show or change where images may come from
    #[command(subcommand)]
    Trust(trust::ImageTrustCommand),
    /// Show the layers of an image
    Tree(tree::ImageTreeArgs),
    /// Unmount images
    #[command(visible_alias = "umount")]
    Unmount(mount::ImageUnmountArgs),
    /// Take names away from an image
    Untag(tag::UntagArgs),
}

impl ImageCommand {
    /// Does it.
    pub fn run(self, session: &Session) -> Result<()> {
        match self {
            ImageCommand::Build(args) => args.run(session),
            ImageCommand::Copy(args) => args.run(session),
            ImageCommand::Diff(args) => args.run(session),
            ImageCommand::Exists(args) => args.run(session),
            ImageCommand::History(args) => args.run(session),
            ImageCommand::Import(args) => args.run(session),
            ImageCommand::Inspect(args) => args.run(session),
            ImageCommand::Load(args) => args.run(session),
            ImageCommand::Ls(args) => args.run(session),
            ImageCommand::Mount(args) => args.run(session),
            ImageCommand::Prune(args) => args.run(session),
            ImageCommand::Pull(args) => args.run(session),
            ImageCommand::Push(args) => args.run(session),
            ImageCommand::Rm(args) => args.run(session),
            ImageCommand::Save(args) => args.run(session),
            ImageCommand::Scp(args) => args.run(session),
            ImageCommand::Tag(args) => args.run(session),
            ImageCommand::Trust(command) => command.run(session),
            ImageCommand::Tree(args) => args.run(session),
            ImageCommand::Unmount(args) => args.run(session),
            ImageCommand::Untag(args) => args.run(session),
        }
    }
}
