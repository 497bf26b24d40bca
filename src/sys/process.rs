//! Processes: making, joining, signalling, waiting, replacing.
//!
//! Everything here that forks is for a process with one thread: the child goes on with a copy of memory
//! in which another thread's locks would never open again.
#![expect(
    unsafe_code,
    reason = "clone3(2), setns(2), execve(2) and signal dispositions are raw system calls"
)]

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::{Errno, Result as SysResult};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions};

use super::mount::last_errno;

/// `CLONE_*` flags; those of namespaces serve `clone3`, `unshare` and `setns` alike.
pub mod flags {
    /// New or joined namespaces.
    pub const NEWNS: u64 = libc::CLONE_NEWNS as u64;
    /// UTS (host name).
    pub const NEWUTS: u64 = libc::CLONE_NEWUTS as u64;
    /// System V IPC and message queues.
    pub const NEWIPC: u64 = libc::CLONE_NEWIPC as u64;
    /// User and group ids.
    pub const NEWUSER: u64 = libc::CLONE_NEWUSER as u64;
    /// Process ids.
    pub const NEWPID: u64 = libc::CLONE_NEWPID as u64;
    /// Network.
    pub const NEWNET: u64 = libc::CLONE_NEWNET as u64;
    /// Control groups.
    pub const NEWCGROUP: u64 = libc::CLONE_NEWCGROUP as u64;
    /// Time; not for `clone3` (the bit means something else there).
    pub const NEWTIME: u64 = 0x80;
    /// The child uses the caller's table of descriptors.
    pub const FILES: u64 = libc::CLONE_FILES as u64;
    /// The child's parent is the caller's parent.
    pub const PARENT: u64 = libc::CLONE_PARENT as u64;
}

const CLONE_PIDFD: u64 = libc::CLONE_PIDFD as u64;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Which side of a fork this is.
#[derive(Debug)]
pub enum Forked {
    /// The new process.
    Child,
    /// The old one.
    Parent(ChildProcess),
}

/// A child just made.
#[derive(Debug)]
pub struct ChildProcess {
    /// Its pid in the caller's pid namespace.
    pub pid: i32,
    /// Its pidfd, which no later process can take over.
    pub pidfd: OwnedFd,
}

#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Forks with `clone3(2)`: namespaces of `flags`, born in `cgroup` (a cgroup v2 directory; Linux 5.7).
///
/// Where the cgroup cannot be entered at birth the call fails, see [`cgroup_refused`]. Kernels before 5.3 (or a
/// filter that hides `clone3`) get `clone(2)`.
pub fn clone3(flags: u64, cgroup: Option<BorrowedFd<'_>>) -> SysResult<Forked> {
    let exit_signal = if flags & flags::PARENT != 0 { 0 } else { libc::SIGCHLD as u64 };
    let mut pidfd: RawFd = -1;
    let mut args = CloneArgs {
        flags: flags | CLONE_PIDFD,
        pidfd: &raw mut pidfd as u64,
        exit_signal,
        ..Default::default()
    };
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: no stack is given, so this is a fork: the child goes on here with its own copy of all memory.
    // `args` and `pidfd` outlive the call, and the true size is passed.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<CloneArgs>()) };
    if pid == 0 {
        return Ok(Forked::Child);
    }
    if pid > 0 {
        return Ok(Forked::Parent(parent(pid as i32, pidfd)));
    }
    match (last_errno(), cgroup) {
        (Errno::NOSYS, None) => clone_classic(flags, exit_signal),
        (errno, _) => Err(errno),
    }
}

/// Whether `clone3` failed for its cgroup alone, so that the child must be moved by `cgroup.procs` instead:
/// a v1 directory, a kernel before 5.7, a cgroup with inner controllers, one that was not delegated, no `clone3`.
pub fn cgroup_refused(errno: Errno) -> bool {
    use Errno as E;
    matches!(errno, E::BADF | E::INVAL | E::TOOBIG | E::BUSY | E::OPNOTSUPP | E::ACCESS | E::NOSYS)
}

/// `clone(2)` for kernels before 5.3.
fn clone_classic(flags: u64, exit_signal: u64) -> SysResult<Forked> {
    let mut pidfd: RawFd = -1;
    let all = flags | CLONE_PIDFD | exit_signal;
    // SAFETY: as for clone3: a null stack makes it a fork; with CLONE_PIDFD the third argument receives the
    // descriptor. The order of the remaining arguments differs by architecture, but all are null.
    let pid = unsafe { libc::syscall(libc::SYS_clone, all, 0usize, &raw mut pidfd, 0usize, 0usize) };
    match pid {
        0 => Ok(Forked::Child),
        1.. => Ok(Forked::Parent(parent(pid as i32, pidfd))),
        _ => Err(last_errno()),
    }
}

fn parent(pid: i32, pidfd: RawFd) -> ChildProcess {
    // SAFETY: the kernel just opened this descriptor (close-on-exec) for the caller alone.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    ChildProcess { pid, pidfd }
}

/// Ends this process at once: no destructor, no exit handler. For children of a fork.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: _exit has no precondition.
    unsafe { libc::_exit(status) }
}

/// Leaves the namespaces of `flags` for new ones.
pub fn unshare(flags: u64) -> SysResult<()> {
    // SAFETY: only namespace flags come here; none of them shares memory or descriptors.
    let done = unsafe { libc::unshare(flags as i32) };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

/// Joins the namespace that `fd` is open on, or with a pidfd all those of `flags` in one step (Linux 5.8).
pub fn setns(fd: BorrowedFd<'_>, flags: u64) -> SysResult<()> {
    // SAFETY: setns takes an open descriptor and integers.
    let done = unsafe { libc::setns(fd.as_raw_fd(), flags as i32) };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

/// A pidfd of a process that is known to live and not to have been replaced.
pub fn pidfd_open(pid: i32) -> SysResult<OwnedFd> {
    let pid = Pid::from_raw(pid).ok_or(Errno::SRCH)?;
    rustix::process::pidfd_open(pid, PidfdFlags::empty())
}

/// Sends signal number `signal` (real-time ones too; 0 probes) to the process of a pidfd.
pub fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> SysResult<()> {
    // SAFETY: a null siginfo means that of kill(2); the rest are integers.
    let done = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0u32,
        )
    };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
}

impl Exit {
    /// The exit code a shell would show: 128 + n for a signal.
    pub fn code(self) -> i32 {
        match self {
            Exit::Status(status) => status,
            Exit::Signal(signal) => 128 + signal,
        }
    }
}

/// Waits for the end of a child and reaps it.
pub fn wait(pidfd: BorrowedFd<'_>) -> SysResult<Exit> {
    loop {
        match wait_with(pidfd, WaitIdOptions::EXITED) {
            Ok(Some(exit)) => return Ok(exit),
            Ok(None) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Reaps a child if it has ended.
pub fn try_wait(pidfd: BorrowedFd<'_>) -> SysResult<Option<Exit>> {
    wait_with(pidfd, WaitIdOptions::EXITED | WaitIdOptions::NOHANG)
}

fn wait_with(pidfd: BorrowedFd<'_>, options: WaitIdOptions) -> SysResult<Option<Exit>> {
    // CLONE_PARENT children carry no exit signal; without __WALL the kernel would not show them.
    let options = options | WaitIdOptions::from_bits_retain(libc::__WALL as u32);
    let Some(status) = rustix::process::waitid(WaitId::PidFd(pidfd.as_fd()), options)? else {
        return Ok(None);
    };
    Ok(Some(match (status.exit_status(), status.terminating_signal()) {
        (Some(status), _) => Exit::Status(status),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => return Ok(None),
    }))
}

/// Marks every descriptor from `first` on close-on-exec, those opened later not.
pub fn close_on_exec_from(first: RawFd) -> SysResult<()> {
    const CLOSE_RANGE_CLOEXEC: u32 = 4;
    // SAFETY: marking descriptors close-on-exec takes nothing away from their owners in this process.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, CLOSE_RANGE_CLOEXEC) };
    if done == 0 {
        return Ok(());
    }
    match last_errno() {
        Errno::NOSYS | Errno::INVAL => close_on_exec_by_list(first),
        errno => Err(errno),
    }
}

/// The same for kernels before 5.11.
fn close_on_exec_by_list(first: RawFd) -> SysResult<()> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(1 << 20);
    for fd in first..i32::try_from(limit).unwrap_or(1 << 20) {
        // SAFETY: fcntl on a number that may or may not be open has no effect on memory.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    Ok(())
}

/// Closes every descriptor from `first` on, without asking who owns them: for a forked child that knows
/// all it still needs.
pub fn close_from(first: RawFd, keep: &[RawFd]) -> SysResult<()> {
    let mut keep: Vec<RawFd> = keep.iter().copied().filter(|fd| *fd >= first).collect();
    keep.sort_unstable();
    let mut from = first;
    for fd in keep {
        if fd > from {
            close_between(from, fd as u32 - 1)?;
        }
        from = fd + 1;
    }
    close_between(from, u32::MAX)
}

/// Closes one descriptor under its owner: in a forked child that will not touch the owner again and ends by exec
/// or [`exit_now`], which run no destructor.
pub fn close_one(fd: BorrowedFd<'_>) -> SysResult<()> {
    close_between(fd.as_raw_fd(), fd.as_raw_fd() as u32)
}

fn close_between(first: RawFd, last: u32) -> SysResult<()> {
    // SAFETY: the caller of close_from gives up all owners in this range.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0u32) };
    if done == 0 {
        return Ok(());
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(1 << 20);
    for fd in first..i32::try_from(u64::from(last).min(limit)).unwrap_or(1 << 20) {
        // SAFETY: as above.
        unsafe { libc::close(fd) };
    }
    Ok(())
}

/// Puts `source` at descriptor number `target`, not close-on-exec.
pub fn dup_onto(source: BorrowedFd<'_>, target: RawFd) -> SysResult<()> {
    // SAFETY: dup2 on an open descriptor; whoever owned the target number is replaced, as the caller wants
    // in a child that is about to exec. With equal numbers only the close-on-exec mark must go.
    let done = unsafe {
        if source.as_raw_fd() == target {
            libc::fcntl(target, libc::F_SETFD, 0)
        } else {
            libc::dup2(source.as_raw_fd(), target)
        }
    };
    if done < 0 { Err(last_errno()) } else { Ok(()) }
}

/// Borrows a descriptor by its number.
pub fn borrow(fd: RawFd) -> BorrowedFd<'static> {
    // SAFETY: used for the standard descriptors and for numbers that were promised to stay open (listen
    // descriptors, `--preserve-fds`); a closed one gives EBADF, never another object of this process.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

/// Takes a descriptor that another program promised under this number (`LISTEN_FDS`, `--preserve-fds`).
pub fn own(fd: RawFd) -> SysResult<OwnedFd> {
    // SAFETY: fcntl on a bare number; it fails when nothing is open there.
    if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
        return Err(last_errno());
    }
    // SAFETY: it is open, and the caller says that nobody else in this process owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether something is open under a number.
pub fn is_open(fd: RawFd) -> bool {
    // SAFETY: fcntl on a bare number; it fails when nothing is open there.
    unsafe { libc::fcntl(fd, libc::F_GETFD) >= 0 }
}

/// Sets the execution domain (personality(2)); an exec that gives no privileges keeps it.
pub fn set_personality(domain: u32) -> SysResult<()> {
    // SAFETY: a number in, a number out; it changes how this process's system calls answer, not its memory.
    let before = unsafe { libc::personality(libc::c_ulong::from(domain)) };
    if before < 0 { Err(last_errno()) } else { Ok(()) }
}

/// Every signal gets its default effect and none is blocked: what a container's process may rely on.
pub fn reset_signals() {
    // SAFETY: SIG_DFL is a valid disposition; an empty set is a valid mask. Numbers that cannot be set
    // (SIGKILL, SIGSTOP, those of the C library) are refused by the kernel, which is fine.
    unsafe {
        for signal in 1..=64 {
            let mut action: [u64; 4] = [0; 4];
            libc::syscall(libc::SYS_rt_sigaction, signal, action.as_mut_ptr(), 0usize, 8usize);
        }
        let empty = 0u64;
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const empty, 0usize, 8usize);
    }
}

/// Strings in the form that `execve` wants.
#[derive(Debug)]
pub struct Strings {
    _owned: Vec<CString>,
    pointers: Vec<*const libc::c_char>,
}

impl Strings {
    /// Prepares strings; fails on a NUL inside one.
    pub fn new<S: AsRef<[u8]>>(strings: impl IntoIterator<Item = S>) -> SysResult<Strings> {
        let owned: Vec<CString> = strings
            .into_iter()
            .map(|text| CString::new(text.as_ref()).map_err(|_| Errno::INVAL))
            .collect::<SysResult<_>>()?;
        let pointers = owned.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect();
        Ok(Strings { _owned: owned, pointers })
    }
}

/// Replaces this process; returns only with the reason why it could not.
pub fn execve(path: &CStr, arguments: &Strings, environment: &Strings) -> Errno {
    // SAFETY: both lists end with a null pointer and own what they point to.
    unsafe { libc::execve(path.as_ptr(), arguments.pointers.as_ptr(), environment.pointers.as_ptr()) };
    last_errno()
}

/// Replaces this process by the program that `file` is open on (`O_PATH` suffices).
pub fn execveat(file: BorrowedFd<'_>, arguments: &Strings, environment: &Strings) -> Errno {
    // SAFETY: as for execve; the empty path with AT_EMPTY_PATH means the descriptor itself.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            file.as_raw_fd(),
            c"".as_ptr(),
            arguments.pointers.as_ptr(),
            environment.pointers.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    last_errno()
}

/// Joins a new session keyring, so that the caller's keys are out of reach. Kernels and filters without keyrings,
/// and users at their quota, go on without: then there is nothing to be found by the container's own lookups.
pub fn join_session_keyring(name: &str) {
    const KEYCTL_JOIN_SESSION_KEYRING: i32 = 1;
    let Ok(name) = CString::new(name) else { return };
    // SAFETY: the name is NUL-terminated and outlives the call.
    unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name.as_ptr()) };
}

/// `ioprio_set(2)` for this process.
pub fn set_io_priority(priority: u32) -> SysResult<()> {
    const IOPRIO_WHO_PROCESS: i32 = 1;
    // SAFETY: integers only.
    let done = unsafe { libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, priority) };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

/// A set of signals as the kernel has it.
#[derive(Debug, Clone, Copy)]
pub struct SignalSet(u64);

/// Blocks every signal of this process; gives the set for [`wait_signal`].
pub fn block_all_signals() -> SysResult<SignalSet> {
    let all = u64::MAX;
    // SAFETY: a full set is a valid mask (the kernel leaves out SIGKILL and SIGSTOP).
    let done =
        unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const all, 0usize, 8usize) };
    if done == 0 { Ok(SignalSet(all)) } else { Err(last_errno()) }
}

/// Waits for the next signal of a blocked set and takes it.
pub fn wait_signal(set: &SignalSet) -> SysResult<i32> {
    loop {
        // SAFETY: the set outlives the call; null pointers mean no details and no timeout.
        let signal =
            unsafe { libc::syscall(libc::SYS_rt_sigtimedwait, &raw const set.0, 0usize, 0usize, 8usize) };
        match signal {
            1.. => return Ok(signal as i32),
            _ if last_errno() == Errno::INTR => {}
            _ => return Err(last_errno()),
        }
    }
}

/// Sends a signal by pid, for the few places that have no pidfd.
pub fn kill(pid: i32, signal: i32) -> SysResult<()> {
    // SAFETY: kill takes integers.
    let done = unsafe { libc::kill(pid, signal) };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

/// Keeps errors from collecting backtraces, which nobody would see: with `RUST_BACKTRACE` in the environment each
/// one, a missing file too, would walk the stack. To be called first, by the only thread; panics keep theirs.
pub fn no_backtraces() {
    const NAME: &str = "RUST_LIB_BACKTRACE";
    if std::env::var_os("RUST_BACKTRACE").is_none() && std::env::var_os(NAME).is_none() {
        return; // off already
    }
    let before = std::env::var_os(NAME);
    // SAFETY: there is no other thread that could read the environment meanwhile. The library looks at the
    // variable once, in `capture`; after that the environment is as before, for programs that get it from us.
    unsafe {
        std::env::set_var(NAME, "0");
        let _ = std::backtrace::Backtrace::capture();
        match before {
            Some(value) => std::env::set_var(NAME, value),
            None => std::env::remove_var(NAME),
        }
    }
}

/// The file mode creation mask, without changing it (which would race with other threads); all bits when unknown.
pub fn umask() -> u32 {
    let status =
        crate::base::fs::read_to_string(std::path::Path::new("/proc/thread-self/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    line.and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok()).unwrap_or(0o777)
}
