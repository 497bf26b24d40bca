//! `RUN --mount=type=secret` and `type=ssh`.

use std::path::PathBuf;

use super::mounts::{self, Mounts};
use super::secret::{Access, in_memory};
use super::stage::Stage;
use crate::base::error::{Context, Kind, Result, fail};
use crate::base::text::printable;
use crate::container::record::{Mount as Record, MountOptions, MountSource};
use crate::dockerfile::mount::{Secret, Ssh};

/// Shows a secret as a file in memory, in a variable, or both. One that was not given is silently absent unless it is
/// required.
pub(super) fn secret(stage: &Stage<'_>, secret: &Secret, mounts: &mut Mounts) -> Result<()> {
    let Some(value) = stage.job.input.secrets.get(&secret.id) else {
        return match secret.required {
            true => {
                Err(fail(Kind::Failed, format!("the build was given no secret `{}`", printable(&secret.id))))
            }
            false => Ok(()),
        };
    };
    if let Some(name) = &secret.env {
        let text = String::from_utf8(value.to_vec()).ok().filter(|text| !text.contains('\0'));
        let text = text.with_context(|| {
            format!("the secret `{}` is no text, so that no variable can hold it", printable(&secret.id))
        })?;
        mounts.set(name.clone(), text);
    }
    if let Some(target) = &secret.target {
        let access = Access { mode: secret.mode, uid: secret.uid, gid: secret.gid };
        let mount =
            in_memory(value, access).with_context(|| format!("show secret `{}`", printable(&secret.id)))?;
        show(mounts::point(stage, target)?, mount, mounts);
    }
    Ok(())
}

/// Forwards an agent, the same way.
pub(super) fn ssh(stage: &Stage<'_>, ssh: &Ssh, number: usize, mounts: &mut Mounts) -> Result<()> {
    let access = Access { mode: ssh.mode, uid: ssh.uid, gid: ssh.gid };
    let run = &stage.job.ops.roots.run;
    let shown = || format!("forward ssh agent `{}`", printable(&ssh.id));
    let forwarded = stage.job.input.agents.forward(&ssh.id, access, run).with_context(shown)?;
    let Some(mut forwarded) = forwarded else {
        return match ssh.required {
            true => {
                let message = format!("the build was given no ssh agent `{}`", printable(&ssh.id));
                Err(fail(Kind::Failed, message))
            }
            false => Ok(()),
        };
    };
    let target = match &ssh.target {
        Some(target) => mounts::point(stage, target)?,
        None => format!("/run/buildkit/ssh_agent.{number}"),
    };
    if let Some(mount) = forwarded.mount.take() {
        show(target.clone(), mount, mounts);
    }
    mounts.set("SSH_AUTH_SOCK".into(), target);
    mounts.hold(Box::new(forwarded));
    Ok(())
}

fn show(target: String, mount: std::os::fd::OwnedFd, mounts: &mut Mounts) {
    let options = MountOptions { read_only: true, ..MountOptions::default() };
    let source = MountSource::Bind(PathBuf::from("bound"));
    mounts.add(Record { target, source, options }, Some(mount));
}
