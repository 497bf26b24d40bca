//! What every command has at hand: the decided directories, the configuration, the printer.

use std::cell::OnceCell;
use std::path::PathBuf;

use super::global::Global;
use crate::base::config::Containers;
use crate::base::error::Result;
use crate::base::roots::Roots;
use crate::ops::context::{Context, GlobalOptions};
use crate::ui::{self, Printer};

/// One command's surroundings.
#[derive(Debug)]
pub struct Session {
    /// What stood in front of the command.
    pub global: Global,
    /// Where state lies; nothing is made before a command needs it.
    pub roots: Roots,
    /// stdout.
    pub out: Printer,
    config: OnceCell<Containers>,
    ops: OnceCell<Context>,
}

impl Session {
    /// Decides the directories. Must run before the process enters a user namespace.
    pub fn new(global: Global) -> Result<Session> {
        global.check()?;
        let roots = Roots::decide(&global.overrides())?;
        let session =
            Session { global, roots, out: Printer::default(), config: OnceCell::new(), ops: OnceCell::new() };
        session.debug(|| {
            format!("root {}, run root {}", session.roots.root.display(), session.roots.run.display())
        });
        Ok(session)
    }

    /// `containers.conf`, read on first use.
    pub fn config(&self) -> Result<&Containers> {
        if let Some(config) = self.config.get() {
            return Ok(config);
        }
        let config = Containers::load(self.roots.rootless)?;
        Ok(self.config.get_or_init(|| config))
    }

    /// The stores, opened when first needed.
    pub fn ops(&self) -> Result<&Context> {
        if let Some(driver) = &self.global.storage_driver {
            driver.parse::<crate::layer::Driver>()?;
        }
        Ok(self.ops.get_or_init(|| {
            let options = GlobalOptions {
                storage_driver: self.global.storage_driver.clone(),
                cgroup_manager: self.global.cgroup_manager.clone(),
                events_backend: self.global.events_backend.clone(),
            };
            Context::new(self.roots.clone(), options)
        }))
    }

    /// The file of registry logins: `--authfile`, else the one in `--config`.
    pub fn authfile(&self, given: Option<PathBuf>) -> Option<PathBuf> {
        let docker =
            || self.global.config.as_ref().map(|dir| dir.join("config.json")).filter(|path| path.exists());
        given.or_else(docker)
    }

    /// Says something when `--log-level debug` asked for it.
    pub fn debug(&self, text: impl FnOnce() -> String) {
        if self.global.level() >= 3 {
            ui::printer::talk(&format!("debug: {}", text()));
        }
    }

    /// Warns, unless `--log-level error` asked for silence.
    pub fn warn(&self, text: &str) {
        if self.global.level() >= 1 {
            ui::printer::warn(text);
        }
    }
}
