//! `RUN --mount=type=secret` and `type=ssh`.

use std::path::Path;

use super::mounts::Mounts;
use super::stage::Stage;
use crate::base::error::{Kind, Result, fail};
use crate::dockerfile::mount::{Secret, Ssh};

/// A secret that was not given is silently absent unless it is required.
pub(super) fn secret(_: &Stage<'_>, secret: &Secret, _: &Path, _: &mut Mounts) -> Result<()> {
    match secret.required {
        true => Err(fail(Kind::Failed, format!("the build was given no secret `{}`", secret.id))),
        false => Ok(()),
    }
}

/// The same for an agent.
pub(super) fn ssh(_: &Stage<'_>, ssh: &Ssh, _: usize, _: &mut Mounts) -> Result<()> {
    match ssh.required {
        true => Err(fail(Kind::Failed, format!("the build was given no ssh agent `{}`", ssh.id))),
        false => Ok(()),
    }
}
