//! The command line: one file a subcommand, one folder a noun.
//!
//! A command file has its Args, whose doc comments are the help, then `run`, which translates to an options
//! struct, makes one call into [`crate::ops`] and renders what comes back. Both spellings of a command
//! (`run`, `container run`) are one Args. Subcommands are deferred: only the one that was typed is built,
//! which keeps the start under a millisecond.

pub mod artifact;
pub mod complete;
pub mod container;
pub mod descriptors;
pub mod diff;
pub mod docs;
pub mod events;
pub mod format;
pub mod global;
pub mod healthcheck;
pub mod image;
pub mod info;
pub mod inspect;
pub mod login;
pub mod manifest;
pub mod names;
pub mod pull_source;
pub mod reclaimed;
pub mod refuse;
pub mod runtime;
pub mod search;
pub mod session;
pub mod system;
pub mod typed;
pub mod unshare;
pub mod values;
pub mod version;
pub mod volume;

use std::ffi::OsString;

use clap::{Parser, Subcommand};

use crate::base::error::{Error, Kind, Result, kind_of};
use crate::ui;

use session::Session;

/// Runs, ships and looks after containers, without a daemon.
#[derive(Debug, Parser)]
#[command(
    name = "dhow",
    version = concat!("version ", env!("CARGO_PKG_VERSION")),
    disable_version_flag = true,
    disable_help_subcommand = true,
    arg_required_else_help = true,
    args_override_self = true,
    max_term_width = 110,
    subcommand_required = true
)]
pub struct Dhow {
    #[command(flatten)]
    global: global::Global,
    #[command(subcommand)]
    command: Command,
}

/// All commands, in the order of the help.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
enum Command {
    /// Commands about artifacts
    #[command(subcommand)]
    Artifact(artifact::ArtifactCommand),
    /// Connect to a running container
    Attach(container::attach::AttachArgs),
    /// Build an image from a Dockerfile
    Build(Box<image::build::BuildArgs>),
    /// Commands about building
    #[command(subcommand, visible_alias = "buildx")]
    Builder(image::builder::BuilderCommand),
    /// Commands about containers
    #[command(subcommand)]
    Container(container::ContainerCommand),
    /// Make a container without starting it
    Create(container::create::CreateArgs),
    /// Make an image of what a container has become
    Commit(container::commit::CommitArgs),
    /// Copy files between a container and the host
    Cp(container::cp::CpArgs),
    /// Show what was changed in a file system
    Diff(diff::DiffArgs),
    /// Show what happens to containers, images and volumes
    Events(events::EventsArgs),
    /// Write a container's file system as a tar archive
    Export(container::export::ExportArgs),
    /// Run another command in a running container
    Exec(container::exec::ExecArgs),
    /// Commands about health checks
    #[command(subcommand)]
    Healthcheck(healthcheck::HealthcheckCommand),
    /// Show how an image came about
    History(image::history::HistoryArgs),
    /// Commands about images
    #[command(subcommand)]
    Image(image::ImageCommand),
    /// List images
    Images(image::ls::ImageLsArgs),
    /// Make an image of one layer from the archive of a file system
    Import(image::import::ImportArgs),
    /// Show what dhow found on this machine
    Info(info::InfoArgs),
    /// Set containers up, all but the start of their commands
    Init(container::init::InitArgs),
    /// Show everything about containers, images or volumes
    Inspect(inspect::InspectArgs),
    /// Send a signal to running containers
    Kill(container::kill::KillArgs),
    /// Load images from an archive
    Load(image::load::LoadArgs),
    /// Log into a registry and keep the credentials
    Login(login::LoginArgs),
    /// Forget the credentials for a registry
    Logout(login::LogoutArgs),
    /// Show what containers wrote
    Logs(container::logs::LogsArgs),
    /// Commands about lists of images
    #[command(subcommand)]
    Manifest(manifest::ManifestCommand),
    /// Freeze all processes of running containers
    Pause(container::pause::PauseArgs),
    /// Show the published ports of a container
    Port(container::port::PortArgs),
    /// List containers
    Ps(container::ps::PsArgs),
    /// Pull images from a registry
    Pull(image::pull::PullArgs),
    /// Push an image to a registry
    Push(image::push::PushArgs),
    /// Give a container another name
    Rename(container::rename::RenameArgs),
    /// Stop containers and start them again
    Restart(container::restart::RestartArgs),
    /// Remove containers
    Rm(container::rm::RmArgs),
    /// Remove images
    Rmi(image::rm::ImageRmArgs),
    /// Run a command in a new container
    Run(container::run::RunArgs),
    /// Save images to an archive
    Save(image::save::SaveArgs),
    /// Search registries for images
    Search(search::SearchArgs),
    /// Start containers
    Start(container::start::StartArgs),
    /// Show what running containers use, again and again
    Stats(container::stats::StatsArgs),
    /// Stop running containers
    Stop(container::stop::StopArgs),
    /// Commands about the store as a whole
    #[command(subcommand)]
    System(system::SystemCommand),
    /// Give an image more names
    Tag(image::tag::TagArgs),
    /// Show the processes of a container
    Top(container::top::TopArgs),
    /// Let frozen containers go on
    Unpause(container::pause::UnpauseArgs),
    /// Run a program in the user namespace of this user's containers
    Unshare(unshare::UnshareArgs),
    /// Take names away from an image
    Untag(image::tag::UntagArgs),
    /// Change the limits of containers, also while they run
    Update(container::update::UpdateArgs),
    /// Be an OCI runtime
    #[command(hide = true)]
    Runtime(runtime::RuntimeArgs),
    /// Show the version
    Version(version::VersionArgs),
    /// Commands about volumes
    #[command(subcommand)]
    Volume(volume::VolumeCommand),
    /// Wait for containers to end and print their exit codes
    Wait(container::wait::WaitArgs),
    /// Write man pages and completion scripts
    #[command(hide = true)]
    Docs(docs::DocsArgs),
}

impl Command {
    fn run(self, session: &Session) -> Result<()> {
        match self {
            Command::Artifact(command) => command.run(session),
            Command::Attach(args) => args.run(session),
            Command::Build(args) => args.run(session),
            Command::Builder(command) => command.run(session),
            Command::Container(command) => command.run(session),
            Command::Create(args) => args.run(session),
            Command::Commit(args) => args.run(session),
            Command::Cp(args) => args.run(session),
            Command::Diff(args) => args.run(session),
            Command::Events(args) => args.run(session),
            Command::Export(args) => args.run(session),
            Command::Exec(args) => args.run(session),
            Command::Healthcheck(command) => command.run(session),
            Command::History(args) => args.run(session),
            Command::Image(command) => command.run(session),
            Command::Images(args) => args.run(session),
            Command::Import(args) => args.run(session),
            Command::Info(args) => args.run(session),
            Command::Init(args) => args.run(session),
            Command::Inspect(args) => args.run(session),
            Command::Kill(args) => args.run(session),
            Command::Load(args) => args.run(session),
            Command::Login(args) => args.run(session),
            Command::Logout(args) => args.run(session),
            Command::Logs(args) => args.run(session),
            Command::Manifest(command) => command.run(session),
            Command::Pause(args) => args.run(session),
            Command::Port(args) => args.run(session),
            Command::Ps(args) => args.run(session),
            Command::Pull(args) => args.run(session),
            Command::Push(args) => args.run(session),
            Command::Rename(args) => args.run(session),
            Command::Restart(args) => args.run(session),
            Command::Rm(args) => args.run(session),
            Command::Rmi(args) => args.run(session),
            Command::Run(args) => args.run(session),
            Command::Save(args) => args.run(session),
            Command::Search(args) => args.run(session),
            Command::Start(args) => args.run(session),
            Command::Stats(args) => args.run(session),
            Command::Stop(args) => args.run(session),
            Command::System(command) => command.run(session),
            Command::Tag(args) => args.run(session),
            Command::Top(args) => args.run(session),
            Command::Unpause(args) => args.run(session),
            Command::Unshare(args) => args.run(session),
            Command::Untag(args) => args.run(session),
            Command::Update(args) => args.run(session),
            Command::Runtime(args) => args.run(session),
            Command::Version(args) => args.run(session),
            Command::Volume(command) => command.run(session),
            Command::Wait(args) => args.run(session),
            Command::Docs(args) => args.run(),
        }
    }
}

/// Parses what was typed and does it.
pub fn run(args: Vec<OsString>) -> Result<()> {
    let typed = match typed::parse(args)? {
        typed::Typed::Command(typed) => typed,
        typed::Typed::Page(text) => return print_page(&text),
    };
    let session = Session::new(typed.global)?;
    typed.command.run(&session)?;
    session.out.flush()
}

fn print_page(text: &str) -> Result<()> {
    let out = ui::Printer::default();
    out.text(text)?;
    out.flush()
}

/// Prints an error, unless its kind says that the answer is complete, and gives the exit code.
pub fn report(error: &Error) -> u8 {
    let kind = kind_of(error);
    if !matches!(kind, Kind::No | Kind::Exited(_) | Kind::ClosedPipe) {
        ui::printer::error(error);
    }
    kind.exit_code()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_tree_is_sound() {
        super::Dhow::command().debug_assert();
    }
}
