//! `update`.

use clap::Args;

use super::create_args::ResourceArgs;
use super::select::one_name;
use crate::base::error::{Collected, Kind, Result, fail};
use crate::cli::names;
use crate::cli::session::Session;
use crate::ops::container::update::update;
use crate::ops::create::CreateOptions;

/// Change the limits of containers, also while they run
#[derive(Debug, Args)]
pub struct UpdateArgs {
    #[command(flatten)]
    limits: ResourceArgs,
    /// Start it again when it ends: no, on-failure[:N], always or unless-stopped
    #[arg(long, value_name = "POLICY")]
    restart: Option<String>,
    /// The container made last
    #[arg(short, long)]
    latest: bool,
    /// Names or ids
    #[arg(value_name = "CONTAINER", add = names::containers())]
    containers: Vec<String>,
}

impl UpdateArgs {
    /// Changes them, and prints what was typed for each.
    pub fn run(self, session: &Session) -> Result<()> {
        let ops = session.ops()?;
        let mut options = CreateOptions { restart: self.restart, ..CreateOptions::default() };
        self.limits.fill(&mut options);
        if options == CreateOptions::default() {
            return Err(fail(Kind::Usage, "nothing to change: give a limit or --restart"));
        }
        let fixed =
            options.cgroup_parent.is_some() || options.cgroups.is_some() || !options.cgroup_conf.is_empty();
        if fixed || options.oom_kill_disable {
            let message =
                "--cgroups, --cgroup-parent, --cgroup-conf and --oom-kill-disable cannot be changed";
            return Err(fail(Kind::Usage, message));
        }
        let names = match self.containers.is_empty() {
            true => vec![one_name(ops, None, self.latest)?],
            false => self.containers,
        };
        let mut errors = Collected::default();
        for name in names {
            if errors.note(update(ops, &name, &options)).is_some() {
                session.out.line(&name)?;
            }
        }
        session.out.flush()?;
        errors.finish()
    }
}
