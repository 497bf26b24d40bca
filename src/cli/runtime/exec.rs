//! `dhow runtime exec`

use std::path::PathBuf;

use clap::Args;
use oci_spec::runtime::{Capabilities, Capability, Process};

use crate::base::error::{Context, Kind, Result, ensure, fail};
use crate::base::fs;
use crate::cli::descriptors;
use crate::runtime::oci::{CreateOptions, Runtime};
use crate::sys::process::Exit;

/// Arguments of `runtime exec`.
#[derive(Debug, Args)]
pub(super) struct ExecArgs {
    /// A process section of a specification, instead of words
    #[arg(short, long, value_name = "FILE")]
    process: Option<PathBuf>,
    /// Working directory
    #[arg(long, value_name = "DIR")]
    cwd: Option<PathBuf>,
    /// Environment variable `NAME=VALUE`
    #[arg(short, long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Allocate a terminal
    #[arg(short, long)]
    tty: bool,
    /// `UID[:GID]`
    #[arg(short, long)]
    user: Option<String>,
    /// Further group
    #[arg(short = 'g', long, value_name = "GID")]
    additional_gids: Vec<u32>,
    /// Capability beside those of the specification
    #[arg(short, long, value_name = "CAP")]
    cap: Vec<String>,
    /// No program may gain privileges
    #[arg(long)]
    no_new_privs: bool,
    /// AppArmor profile
    #[arg(long, value_name = "PROFILE")]
    apparmor: Option<String>,
    /// SELinux label
    #[arg(long, value_name = "LABEL")]
    process_label: Option<String>,
    /// In a paused container, too: the command waits until it goes on
    #[arg(long)]
    ignore_paused: bool,
    /// Do not wait
    #[arg(short, long)]
    detach: bool,
    /// Where the terminal's master is sent
    #[arg(long, value_name = "SOCKET")]
    console_socket: Option<PathBuf>,
    /// Where the pid is written
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// How many further descriptors the command gets
    #[arg(long, default_value_t = 0, value_name = "N")]
    preserve_fds: u32,
    /// Name of the container
    id: String,
    /// The command
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

impl ExecArgs {
    pub(super) fn run(self, runtime: &Runtime<'_>) -> Result<Option<Exit>> {
        let preserve_fds = descriptors::counted(self.preserve_fds)?;
        let status = runtime.state(&self.id)?.status;
        ensure!(
            status != "paused" || self.ignore_paused,
            "container `{}` is paused: resume it, or use `--ignore-paused`",
            self.id
        );
        let process = self.process(runtime)?;
        let options = CreateOptions {
            console_socket: self.console_socket,
            pid_file: self.pid_file,
            preserve_fds,
            ..CreateOptions::default()
        };
        runtime.exec(&self.id, process, &options, self.detach)
    }

    /// The process of the file, or that of the container with other words.
    fn process(&self, runtime: &Runtime<'_>) -> Result<Process> {
        let mut process = match &self.process {
            Some(path) => fs::read_json::<Process>(path)?,
            None => {
                let mut process = runtime.process_of(&self.id)?;
                process.set_args(Some(self.command.clone())).set_terminal(Some(self.tty));
                process
            }
        };
        if self.tty {
            process.set_terminal(Some(true));
        }
        if let Some(cwd) = &self.cwd {
            process.set_cwd(cwd.clone());
        }
        if !self.env.is_empty() {
            let mut env = process.env().clone().unwrap_or_default();
            env.extend(self.env.iter().cloned());
            process.set_env(Some(env));
        }
        self.set_user(&mut process)?;
        self.set_confinement(&mut process)?;
        Ok(process)
    }

    fn set_user(&self, process: &mut Process) -> Result<()> {
        let number = |word: &str| {
            word.parse::<u32>().map_err(|_| fail(Kind::Usage, format!("`{word}` is no numeric id")))
        };
        let mut user = process.user().clone();
        if let Some(text) = &self.user {
            let (uid, gid) = text.split_once(':').map_or((text.as_str(), None), |(u, g)| (u, Some(g)));
            user.set_uid(number(uid)?);
            if let Some(gid) = gid {
                user.set_gid(number(gid)?);
            }
        }
        if !self.additional_gids.is_empty() {
            let mut groups = user.additional_gids().clone().unwrap_or_default();
            groups.extend(&self.additional_gids);
            user.set_additional_gids(Some(groups));
        }
        process.set_user(user);
        Ok(())
    }

    fn set_confinement(&self, process: &mut Process) -> Result<()> {
        if self.no_new_privs {
            process.set_no_new_privileges(Some(true));
        }
        if let Some(profile) = &self.apparmor {
            process.set_apparmor_profile(Some(profile.clone()));
        }
        if let Some(label) = &self.process_label {
            process.set_selinux_label(Some(label.clone()));
        }
        if self.cap.is_empty() {
            return Ok(());
        }
        let added = self.cap.iter().map(|name| capability(name)).collect::<Result<Vec<_>>>()?;
        let mut all = process.capabilities().clone().unwrap_or_default();
        let with = |set: &Option<Capabilities>| {
            Some(set.iter().flatten().copied().chain(added.iter().copied()).collect::<Capabilities>())
        };
        let (bounding, effective, permitted) =
            (with(all.bounding()), with(all.effective()), with(all.permitted()));
        all.set_bounding(bounding).set_effective(effective).set_permitted(permitted);
        process.set_capabilities(Some(all));
        Ok(())
    }
}

fn capability(name: &str) -> Result<Capability> {
    let upper = name.to_ascii_uppercase();
    let short = upper.strip_prefix("CAP_").unwrap_or(&upper);
    short.parse::<Capability>().with_context(|| format!("`{name}` is no capability"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_by_both_names() {
        assert_eq!(capability("cap_net_raw").unwrap(), Capability::NetRaw);
        assert_eq!(capability("SYS_ADMIN").unwrap(), Capability::SysAdmin);
        assert!(capability("CAP_NONSENSE").is_err());
    }
}
