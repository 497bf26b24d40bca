//! (being written)

pub mod cgroup;
pub mod defaults;
pub mod log;
pub mod lsm;
pub mod seccomp;
pub mod supervisor;
