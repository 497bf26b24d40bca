//! `prctl(2)`: what a process says about itself.

use std::ffi::CStr;

use rustix::io::Result as SysResult;
use rustix::process::{DumpableBehavior, Signal};

/// Nobody but the owner of the user namespace may trace this process or open its `/proc` links.
pub fn not_dumpable() -> SysResult<()> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
}

/// From here on no exec gives privileges (`PR_SET_NO_NEW_PRIVS`).
pub fn no_new_privs() -> SysResult<()> {
    rustix::thread::set_no_new_privs(true)
}

/// The signal this process gets when its parent ends; `None` for none.
pub fn parent_death_signal(signal: Option<Signal>) -> SysResult<()> {
    rustix::process::set_parent_process_death_signal(signal)
}

/// Orphans below this process become its children (`PR_SET_CHILD_SUBREAPER`).
pub fn child_subreaper() -> SysResult<()> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
}

/// The permitted capabilities survive the change to another uid.
pub fn keep_capabilities(keep: bool) -> SysResult<()> {
    rustix::thread::set_keep_capabilities(keep)
}

/// The name that `ps` shows; at most 15 bytes count.
pub fn set_name(name: &CStr) -> SysResult<()> {
    rustix::thread::set_name(name)
}
