//! What every verb has at hand: the roots and the stores, each opened when first needed.

use std::cell::OnceCell;

use crate::base::config::Containers;
use crate::base::error::Result;
use crate::base::roots::Roots;
use crate::sys::userns;
use crate::{container, event, image, layer, volume};

/// Global options that decide how stores are opened.
#[derive(Debug, Clone, Default)]
pub struct GlobalOptions {
    /// `--storage-driver`, as typed or configured.
    pub storage_driver: Option<String>,
    /// `--cgroup-manager`, as typed or configured.
    pub cgroup_manager: Option<String>,
    /// `--events-backend`, as typed; the configuration is asked otherwise.
    pub events_backend: Option<String>,
}

/// The stores of one command.
#[derive(Debug)]
pub struct Context {
    /// Where state lies.
    pub roots: Roots,
    /// What was asked for globally.
    pub options: GlobalOptions,
    images: image::Store,
    volumes: volume::Store,
    containers: OnceCell<container::Store>,
    layers: OnceCell<layer::Store>,
    stage: OnceCell<userns::Stage>,
    events: OnceCell<Option<event::Store>>,
}

impl Context {
    /// Opens nothing yet.
    pub fn new(roots: Roots, options: GlobalOptions) -> Context {
        let images = image::Store::open(&roots.root).with_additional(&roots.additional);
        let volumes = volume::Store::open(&roots.root);
        Context {
            roots,
            options,
            images,
            volumes,
            containers: OnceCell::new(),
            layers: OnceCell::new(),
            stage: OnceCell::new(),
            events: OnceCell::new(),
        }
    }

    /// The images.
    pub fn images(&self) -> &image::Store {
        &self.images
    }

    /// The containers.
    pub fn containers(&self) -> Result<&container::Store> {
        if self.containers.get().is_none() {
            let store = container::Store::open(&self.roots)?;
            let _ = self.containers.set(store); // empty until now, and one thread only
        }
        Ok(self.containers.get().unwrap_or_else(|| unreachable!("set above")))
    }

    /// The volumes.
    pub fn volumes(&self) -> &volume::Store {
        &self.volumes
    }

    /// The log of events; `None` where none is kept. Decided with the first event.
    pub fn events(&self) -> Option<&event::Store> {
        let decide = || {
            let configured = || Containers::load(self.roots.rootless).ok()?.engine.events_logger;
            let backend = self.options.events_backend.clone().or_else(configured);
            // A configuration that wants the journal is Podman's; the file is where dhow's events are.
            (backend.as_deref() != Some("none")).then(|| event::Store::open(&self.roots.root))
        };
        self.events.get_or_init(decide).as_ref()
    }

    /// Whether the kernel grants file systems only what an unprivileged user namespace may have: rootless, and for
    /// root inside of an unprivileged container.
    pub fn restricted(&self) -> bool {
        self.roots.rootless || userns::restricted()
    }

    /// The layers.
    pub fn layers(&self) -> Result<&layer::Store> {
        if self.layers.get().is_none() {
            let driver = self.options.storage_driver.as_deref().map(str::parse).transpose()?;
            let rootless = self.restricted();
            let options = layer::Options { driver, rootless };
            let store = layer::Store::open(&self.roots.root, options)?;
            let store = store.with_additional(&self.roots.additional);
            let _ = self.layers.set(store); // empty until now, and one thread only
        }
        Ok(self.layers.get().unwrap_or_else(|| unreachable!("set above")))
    }

    /// Rootless, moves this process into its user namespace stage, where it owns the sub-ids; makes the roots.
    ///
    /// For verbs that touch layers or run containers. The process must be single-threaded.
    pub fn enter_stage(&self) -> Result<()> {
        self.enter_stage_with(None)
    }

    /// The same, in the stage in which the process `beside` already is: only there may namespaces be shared with
    /// what it made.
    pub fn enter_stage_with(&self, beside: Option<i32>) -> Result<()> {
        if self.roots.rootless && !userns::in_stage() {
            let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
            let stage = match beside {
                Some(pid) => userns::enter_with(pid, uid, gid)?,
                None => userns::enter(uid, gid)?,
            };
            let _ = self.stage.set(stage); // the process enters once
        }
        self.roots.create()
    }

    /// The stage, once it was entered; `None` for root.
    pub fn stage(&self) -> Option<&userns::Stage> {
        self.stage.get()
    }

    /// A context of the same roots and options that has opened nothing: for a process that was forked.
    pub fn again(&self) -> Context {
        let again = Context::new(self.roots.clone(), self.options.clone());
        let _ = again.events.set(self.events().cloned()); // empty until now
        if let Some(stage) = self.stage.get() {
            let _ = again.stage.set(stage.clone()); // empty until now
        }
        again
    }
}
