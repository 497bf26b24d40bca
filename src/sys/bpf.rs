#![expect(unsafe_code, reason = "seccomp(2) and bpf(2) have no safe wrapper in rustix or nix")]
//! seccomp(2) filters and the bpf(2) calls that a device program of a cgroup needs.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// One classic BPF instruction (linux/filter.h).
pub type Instruction = libc::sock_filter;

/// One extended BPF instruction: `struct bpf_insn` (linux/bpf.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct ExtendedInstruction {
    /// The operation.
    pub code: u8,
    /// Destination register in the low four bits, source register in the high ones.
    pub registers: u8,
    /// A jump's distance or a memory offset.
    pub offset: i16,
    /// The constant.
    pub immediate: i32,
}

/// Installs a filter on the calling thread: seccomp(2), or prctl(2) before Linux 3.17.
pub fn seccomp_set_filter(program: &[Instruction], flags: u32) -> io::Result<()> {
    let too_long = |_| io::Error::from_raw_os_error(libc::EINVAL);
    let fprog = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(too_long)?,
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel copies `len` instructions from `filter`, which `program` keeps alive and readable; it
    // writes to neither.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const fprog) };
    match check(result) {
        Err(error) if error.raw_os_error() == Some(libc::ENOSYS) && flags == 0 => {
            // SAFETY: as above; prctl(PR_SET_SECCOMP) reads the same structure.
            let result =
                unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const fprog) };
            check(result.into()).map(drop)
        }
        other => other.map(drop),
    }
}

const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_PROG_ATTACH: libc::c_int = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 2;

/// The part of `union bpf_attr` that BPF_PROG_LOAD reads, up to what Linux 4.15 knew.
#[repr(C)]
struct LoadAttr {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
}

/// The part of `union bpf_attr` that BPF_PROG_ATTACH reads.
#[repr(C)]
struct AttachAttr {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
}

/// Loads a program that decides over the use of devices (Linux 4.15).
pub fn load_device_program(program: &[ExtendedInstruction]) -> io::Result<OwnedFd> {
    let mut name = [0; 16];
    name[..12].copy_from_slice(b"dhow_devices");
    let attr = LoadAttr {
        prog_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        insn_cnt: program.len() as u32,
        insns: program.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log_buf: 0,
        kern_version: 0,
        prog_flags: 0,
        prog_name: name,
    };
    // SAFETY: `attr` is of the size that is passed, and its pointers are to `program` (insn_cnt instructions of
    // the kernel's layout) and to a constant; the kernel only reads them, during the call.
    let fd =
        check(unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_LOAD, &raw const attr, size_of_val(&attr)) })?;
    // SAFETY: a new descriptor, close-on-exec as all that bpf(2) makes, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Attaches a device program to a cgroup v2 directory; those of directories above stay in force.
pub fn attach_device_program(cgroup: impl AsFd, program: impl AsFd) -> io::Result<()> {
    let attr = AttachAttr {
        target_fd: cgroup.as_fd().as_raw_fd() as u32,
        attach_bpf_fd: program.as_fd().as_raw_fd() as u32,
        attach_type: BPF_CGROUP_DEVICE,
        attach_flags: BPF_F_ALLOW_MULTI,
    };
    // SAFETY: `attr` is of the size that is passed and holds no pointer.
    check(unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_ATTACH, &raw const attr, size_of_val(&attr)) })
        .map(drop)
}

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Runs `work` in a forked child and gives the status that it ends with: for tests of what cannot be undone.
#[cfg(test)]
pub(crate) fn in_child(work: impl FnOnce() -> i32) -> i32 {
    // SAFETY: the child has the heap to itself, runs `work`, which is to take no other lock, and leaves by _exit.
    let pid = super::alloc::held_still(|| unsafe { libc::fork() });
    if pid == 0 {
        let status = work();
        // SAFETY: ends the child without running the test harness's handlers.
        unsafe { libc::_exit(status) };
    }
    let mut status = 0;
    // SAFETY: waits for our own child and writes one int.
    unsafe { libc::waitpid(pid, &raw mut status, 0) };
    if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 }
}
