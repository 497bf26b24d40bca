//! Commands about containers: the noun `container`, and the short spellings at the top.

pub mod attach;
pub mod commit;
pub mod cp;
pub mod create;
pub mod create_args;
pub mod exec;
pub mod exists;
pub mod export;
pub mod init;
pub mod inspect;
pub mod kill;
pub mod logs;
pub mod pause;
pub mod port;
pub mod prune;
pub mod ps;
mod ps_row;
pub(super) use ps_row::{command, status};
pub mod rename;
pub mod restart;
pub mod rm;
pub mod run;
pub mod select;
pub mod start;
pub mod stats;
mod stay;
pub mod stop;
pub mod top;
pub mod update;
pub mod wait;

use clap::Subcommand;

use super::session::Session;
use crate::base::error::Result;

/// Commands about containers
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum ContainerCommand {
    /// Connect to a running container
    Attach(attach::AttachArgs),
    /// Make a container without starting it
    Create(create::CreateArgs),
    /// Make an image of what a container has become
    Commit(commit::CommitArgs),
    /// Copy files between a container and the host
    Cp(cp::CpArgs),
    /// Show what a container changed in its file system
    Diff(super::diff::ContainerDiffArgs),
    /// Write a container's file system as a tar archive
    Export(export::ExportArgs),
    /// Run another command in a running container
    Exec(exec::ExecArgs),
    /// Tell by the exit code whether a container exists
    Exists(exists::ContainerExistsArgs),
    /// Set containers up, all but the start of their commands
    Init(init::InitArgs),
    /// Show everything about containers
    Inspect(inspect::ContainerInspectArgs),
    /// Send a signal to running containers
    Kill(kill::KillArgs),
    /// Show what containers wrote
    Logs(logs::LogsArgs),
    /// List containers
    #[command(visible_aliases = ["list", "ps"])]
    Ls(ps::PsArgs),
    /// Freeze all processes of running containers
    Pause(pause::PauseArgs),
    /// Show the published ports of a container
    Port(port::PortArgs),
    /// Remove all containers that do not run
    Prune(prune::ContainerPruneArgs),
    /// Give a container another name
    Rename(rename::RenameArgs),
    /// Stop containers and start them again
    Restart(restart::RestartArgs),
    /// Remove containers
    #[command(visible_alias = "remove")]
    Rm(rm::RmArgs),
    /// Run a command in a new container
    Run(run::RunArgs),
    /// Start containers
    Start(start::StartArgs),
    /// Show what running containers use, again and again
    Stats(stats::StatsArgs),
    /// Stop running containers
    Stop(stop::StopArgs),
    /// Show the processes of a container
    Top(top::TopArgs),
    /// Let frozen containers go on
    Unpause(pause::UnpauseArgs),
    /// Change the limits of containers, also while they run
    Update(update::UpdateArgs),
    /// Wait for containers to end and print their exit codes
    Wait(wait::WaitArgs),
}

impl ContainerCommand {
    /// Does it.
    pub fn run(self, session: &Session) -> Result<()> {
        match self {
            ContainerCommand::Attach(args) => args.run(session),
            ContainerCommand::Create(args) => args.run(session),
            ContainerCommand::Commit(args) => args.run(session),
            ContainerCommand::Cp(args) => args.run(session),
            ContainerCommand::Diff(args) => args.run(session),
            ContainerCommand::Export(args) => args.run(session),
            ContainerCommand::Exec(args) => args.run(session),
            ContainerCommand::Exists(args) => args.run(session),
            ContainerCommand::Init(args) => args.run(session),
            ContainerCommand::Inspect(args) => args.run(session),
            ContainerCommand::Kill(args) => args.run(session),
            ContainerCommand::Logs(args) => args.run(session),
            ContainerCommand::Ls(args) => args.run(session),
            ContainerCommand::Pause(args) => args.run(session),
            ContainerCommand::Port(args) => args.run(session),
            ContainerCommand::Prune(args) => args.run(session),
            ContainerCommand::Rename(args) => args.run(session),
            ContainerCommand::Restart(args) => args.run(session),
            ContainerCommand::Rm(args) => args.run(session),
            ContainerCommand::Run(args) => args.run(session),
            ContainerCommand::Start(args) => args.run(session),
            ContainerCommand::Stats(args) => args.run(session),
            ContainerCommand::Stop(args) => args.run(session),
            ContainerCommand::Top(args) => args.run(session),
            ContainerCommand::Unpause(args) => args.run(session),
            ContainerCommand::Update(args) => args.run(session),
            ContainerCommand::Wait(args) => args.run(session),
        }
    }
}
