//! The OCI runtime: makes a container of a specification, starts it, runs further processes in it.
//!
//! It takes the `oci-spec` types, directories and descriptors; it knows no image, name or store.
//!
//! ```text
//! launch       create: the maker's side; Launch in, Created out
//! container    everything decided before the fork (mounts, plan: its parts)
//! child        the first process, step by step: rootfs, devices, console, hide, then identity and exec
//! stage        the process in between, where namespaces must be joined first
//! exec         a further process in a running container
//! sync         what maker and child say to each other
//! init         pid 1 by dhow itself
//! hooks        programs of the specification
//! oci          the verbs of the OCI runtime command line
//! cgroup seccomp lsm defaults     limits and confinement
//! supervisor log                  the process that stays with a container
//! ```

pub mod cgroup;
pub mod defaults;
pub mod exec;
pub mod hooks;
pub mod init;
pub mod launch;
pub mod log;
pub mod lsm;
pub mod oci;
pub mod seccomp;
pub mod supervisor;

mod child;
mod console;
mod container;
mod copyup;
mod devices;
mod hide;
mod identity;
mod mounts;
mod plan;
mod rootfs;
mod stage;
mod sync;

pub use exec::{Child, ExecRequest, exec};
pub use launch::{Created, Gate, Launch, Rootfs, Stdio, create, start_through};
