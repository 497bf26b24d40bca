//! `attach`: joins the streams of a running container.

use super::alive::Alive;
use super::run::{Outcome, Stay, stay_with};
use crate::base::error::{Kind, Result, fail};
use crate::container::record::{LogDriver, Status};
use crate::container::store::Container;
use crate::ops::context::Context as Ops;
use crate::ops::events;
use crate::runtime::supervisor::{self, Attach};

/// Attaches to one container, until it ends or the user leaves.
pub fn attach(ops: &Ops, name: &str, stay: Stay, keys: Option<&str>) -> Result<Outcome> {
    let container = ops.containers()?.resolve(name)?;
    attach_to(ops, &container, stay, keys)
}

/// Attaches to a container that was found already.
pub fn attach_to(ops: &Ops, container: &Container, stay: Stay, keys: Option<&str>) -> Result<Outcome> {
    let config = &container.config;
    let alive = Alive::of(ops.containers()?, container)?;
    if container.state.status == Status::Paused {
        return Err(fail(Kind::Failed, format!("container `{}` is paused: unpause it first", config.name)));
    }
    if matches!(config.log.driver, LogDriver::Passthrough | LogDriver::PassthroughTty) {
        let message = format!("container `{}` has the streams of the command that started it", config.name);
        return Err(fail(Kind::Failed, message + " (log driver passthrough): there is nothing to attach to"));
    }
    let attach = Attach { stdin: stay.attach.stdin && config.process.stdin_open, ..stay.attach };
    let handle = supervisor::attach(&alive.run, attach)?;
    events::container(ops, config, "attach");
    stay_with(ops, container, handle, Stay { attach, ..stay }, keys)
}
