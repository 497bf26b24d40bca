//! All system calls: thin, typed, close-on-exec; the only module where `unsafe` compiles.
//!
//! A wrapper adds the name, the argument and the EINTR retry. Words are the kernel's own, so that a search in
//! the man pages lands. A kernel difference is one function: the new call, `ENOSYS` remembered, the old way.

pub mod alloc;
pub mod bpf;
pub mod btrfs;
pub mod caps;
pub mod event;
pub mod file;
pub mod fork;
pub mod loopback;
pub mod mount;
pub mod prctl;
pub mod process;
pub mod pty;
pub mod rootdir;
pub mod socket;
pub mod term;
pub mod userns;
pub mod xattr;
