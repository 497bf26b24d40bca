//! `logs`: what containers wrote.

use std::path::PathBuf;

use crate::base::error::{Kind, Result, fail};
use crate::container::record::{Config, LogDriver};
use crate::container::store::Store;
use crate::runtime::log::{Driver, Settings};

/// Where a container's log goes, in the words of the log writers; `None` when nothing is kept.
pub fn settings(store: &Store, config: &Config) -> Option<Settings> {
    let driver = match config.log.driver {
        LogDriver::K8sFile => Driver::K8sFile,
        LogDriver::JsonFile => Driver::JsonFile,
        LogDriver::Journald => Driver::Journald,
        LogDriver::None | LogDriver::Passthrough | LogDriver::PassthroughTty => return None,
    };
    Some(Settings {
        driver,
        path: path(store, config),
        max_size: config.log.max_size,
        tag: config.log.tag.clone(),
        id: config.id.clone(),
        name: config.name.clone(),
    })
}

/// The file of the file drivers.
pub fn path(store: &Store, config: &Config) -> PathBuf {
    config.log.path.clone().unwrap_or_else(|| store.dir(&config.id).join("ctr.log"))
}

/// Where to read a container's log, or why there is none to read.
pub fn readable(store: &Store, config: &Config) -> Result<Settings> {
    settings(store, config).ok_or_else(|| {
        let word = match config.log.driver {
            LogDriver::None => "none",
            LogDriver::Passthrough => "passthrough",
            _ => "passthrough-tty",
        };
        fail(Kind::Failed, format!("container `{}` keeps no log: its log driver is `{word}`", config.name))
    })
}
