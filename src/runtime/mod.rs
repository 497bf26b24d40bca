//! (being written)

pub mod defaults;
pub mod lsm;
pub mod seccomp;
