//! The system call filter of a container: profile → rules for this machine and these capabilities → BPF.
//!
//! ```text
//! default.rs    Podman's default profile as a table
//! profile.rs    JSON profiles of Docker and Podman, and the OCI form
//! compile.rs    rules to BPF;  asm.rs  the assembler;  syscalls.rs  numbers by architecture
//! ```
//!
//! The default goes from its table to BPF without JSON and without the OCI form in between, in less than a
//! tenth of a millisecond; [`default_spec`] is for those who want to read it.

mod asm;
mod compile;
mod default;
mod profile;
mod syscalls;

#[cfg(test)]
mod interpret;
#[cfg(test)]
mod tests;

use std::io;

use crate::sys::bpf::{self, Instruction};

pub use default::{default_filter, default_spec};
pub use profile::{Profile, compile};

/// A filter that the kernel takes.
#[derive(Clone)]
pub struct Filter {
    program: Vec<Instruction>,
    flags: u32,
}

impl Filter {
    /// Installs the filter on the calling thread, for good, and for all that it executes.
    ///
    /// Needs `no_new_privs` or CAP_SYS_ADMIN in the user namespace. Allocates nothing: it is among the last
    /// things before `execve`, and whatever comes after it is filtered.
    pub fn load(&self) -> io::Result<()> {
        bpf::seccomp_set_filter(&self.program, self.flags)
    }

    /// How many instructions it has.
    pub fn len(&self) -> usize {
        self.program.len()
    }

    /// Whether it has none: never.
    pub fn is_empty(&self) -> bool {
        self.program.is_empty()
    }
}

/// What the kernel does with a call (linux/seccomp.h).
mod action {
    pub(super) const KILL_PROCESS: u32 = 0x8000_0000;
    pub(super) const KILL_THREAD: u32 = 0;
    pub(super) const TRAP: u32 = 0x0003_0000;
    pub(super) const ERRNO: u32 = 0x0005_0000;
    pub(super) const TRACE: u32 = 0x7ff0_0000;
    pub(super) const LOG: u32 = 0x7ffc_0000;
    pub(super) const ALLOW: u32 = 0x7fff_0000;
}

/// A table of system call numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arch {
    X86_64,
    X32,
    X86,
    Aarch64,
    Arm,
    Riscv64,
}

impl Arch {
    /// That of this binary.
    const NATIVE: Arch = if cfg!(target_arch = "x86_64") {
        Arch::X86_64
    } else if cfg!(target_arch = "aarch64") {
        Arch::Aarch64
    } else if cfg!(target_arch = "arm") {
        Arch::Arm
    } else if cfg!(target_arch = "x86") {
        Arch::X86
    } else {
        Arch::Riscv64
    };

    /// It and those whose programs its kernel runs as well, itself first.
    fn family(self) -> &'static [Arch] {
        match self {
            Arch::X86_64 => &[Arch::X86_64, Arch::X86, Arch::X32],
            Arch::Aarch64 => &[Arch::Aarch64, Arch::Arm],
            Arch::X32 => &[Arch::X32],
            Arch::X86 => &[Arch::X86],
            Arch::Arm => &[Arch::Arm],
            Arch::Riscv64 => &[Arch::Riscv64],
        }
    }

    /// `AUDIT_ARCH_…` (linux/audit.h).
    const fn audit(self) -> u32 {
        match self {
            Arch::X86_64 | Arch::X32 => 0xc000_003e,
            Arch::X86 => 0x4000_0003,
            Arch::Aarch64 => 0xc000_00b7,
            Arch::Arm => 0x4000_0028,
            Arch::Riscv64 => 0xc000_00f3,
        }
    }

    /// What Go calls it, as profiles do.
    fn go_name(self) -> &'static str {
        match self {
            Arch::X86_64 => "amd64",
            Arch::X32 => "x32",
            Arch::X86 => "386",
            Arch::Aarch64 => "arm64",
            Arch::Arm => "arm",
            Arch::Riscv64 => "riscv64",
        }
    }
}

/// A comparison of an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
    MaskedEqual,
}

/// A condition on one argument; for [`Op::MaskedEqual`], `value` is the mask and `second` the wanted rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Check {
    index: u32,
    op: Op,
    value: u64,
    second: u64,
}
