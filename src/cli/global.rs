//! Options in front of the command.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use crate::base::error::{Explain, Kind, Result, fail};
use crate::base::roots::Overrides;

/// What may stand between the program and the command.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Directory of what must survive a reboot: images, containers, volumes
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// Directory of what must not: sockets, locks of running containers
    #[arg(long, value_name = "DIR")]
    pub runroot: Option<PathBuf>,
    /// Directory for big temporary files
    #[arg(long, value_name = "DIR")]
    pub tmpdir: Option<PathBuf>,
    /// Storage driver: overlay, fuse, btrfs or vfs
    #[arg(long, value_name = "DRIVER", env = "DHOW_STORAGE_DRIVER")]
    pub storage_driver: Option<String>,
    /// Option of the storage driver: `additionalimagestore=DIR`, another store whose images may be used
    #[arg(long, value_name = "OPTION")]
    pub storage_opt: Vec<String>,
    /// Who makes control groups: cgroupfs or systemd
    #[arg(long, value_name = "MANAGER", env = "DHOW_CGROUP_MANAGER", value_parser = ["cgroupfs", "systemd"])]
    pub cgroup_manager: Option<String>,
    /// Where events go: file or none
    #[arg(long, value_name = "BACKEND", value_parser = ["file", "none", "journald"])]
    pub events_backend: Option<String>,
    /// How much to say on stderr: debug, info, warn or error
    #[arg(short = 'l', long, value_name = "LEVEL", value_parser = ["trace", "debug", "info", "warn", "warning", "error", "fatal", "panic"])]
    pub log_level: Option<String>,
    /// Same as `--log-level debug`
    #[arg(short = 'D', long)]
    pub debug: bool,
    /// Directory with `config.json`, Docker's file of registry logins
    #[arg(long, value_name = "DIR", env = "DOCKER_CONFIG")]
    pub config: Option<PathBuf>,
    /// OCI runtime; the only one is built in
    #[arg(long, value_name = "NAME", hide = true)]
    pub runtime: Option<String>,
    /// Daemon to talk to; there is none
    #[arg(short = 'H', long, value_name = "URL", hide = true)]
    pub host: Vec<String>,
    /// Context to use; the only one is `default`
    #[arg(short = 'c', long, value_name = "NAME", hide = true)]
    pub context: Option<String>,
    /// Show the version
    #[arg(short = 'v', long, action = ArgAction::Version)]
    pub version: (),
}

impl Global {
    /// Refuses what names a daemon, another runtime or an option that no driver has.
    pub fn check(&self) -> Result<()> {
        if let Some(host) = self.host.first() {
            return Err(fail(Kind::Usage, format!("cannot talk to `{host}`: dhow has no daemon"))
                .hint("run dhow on that machine, for example with `ssh HOST dhow …`"));
        }
        if let Some(context) = self.context.as_deref().filter(|context| *context != "default") {
            return Err(fail(Kind::Usage, format!("no context `{context}`: dhow has no daemon to choose")));
        }
        check_runtime(self.runtime.as_deref())?;
        if self.events_backend.as_deref() == Some("journald") {
            return Err(
                fail(Kind::Usage, "events cannot go to the journal yet").hint("use `--events-backend file`")
            );
        }
        if let Some(option) = self.storage_opt.iter().find(|option| additional_store(option).is_none()) {
            return Err(fail(Kind::Usage, format!("no storage driver knows the option `{option}`"))
                .hint("`additionalimagestore=DIR` is the only one: what works here is found by trying"));
        }
        Ok(())
    }

    /// What the directories are overridden with.
    pub fn overrides(&self) -> Overrides {
        let additional = self.storage_opt.iter().filter_map(|option| additional_store(option));
        Overrides {
            root: self.root.clone(),
            run: self.runroot.clone(),
            tmp: self.tmpdir.clone(),
            additional: additional.collect(),
        }
    }

    /// The log level in force, as a number: 0 errors only, 1 warnings, 2 information, 3 debugging.
    pub fn level(&self) -> u8 {
        match self.log_level.as_deref() {
            _ if self.debug => 3,
            Some("trace" | "debug") => 3,
            Some("info") => 2,
            Some("error" | "fatal" | "panic") => 0,
            _ => 1,
        }
    }
}

/// The directory of `additionalimagestore=DIR`, which Podman also takes with a driver's name in front.
fn additional_store(option: &str) -> Option<PathBuf> {
    let (key, value) = option.split_once('=')?;
    let key = key.split_once('.').map_or(key, |(_, key)| key);
    matches!(key, "additionalimagestore" | "imagestore").then(|| value.into())
}

/// Refuses any runtime but the built-in one.
pub fn check_runtime(runtime: Option<&str>) -> Result<()> {
    match runtime {
        None | Some("dhow") => Ok(()),
        Some(other) => {
            Err(fail(Kind::Usage, format!("cannot use runtime `{other}`: dhow has its own built in"))
                .hint("leave `--runtime` out"))
        }
    }
}
