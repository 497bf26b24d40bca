//! Podman's default profile (containers/common 0.6x) as a table: a call that is not here does not exist
//! (ENOSYS, so that libraries fall back), one that a container must not have is forbidden (EPERM).

use oci_spec::runtime::{
    Capabilities, Capability, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompArgBuilder,
    LinuxSeccompBuilder, LinuxSeccompOperator, LinuxSyscall, LinuxSyscallBuilder,
};

use super::compile::{Rule, compile};
use super::profile::spec_arch;
use super::{Arch, Check, Filter, Op, action};

const EPERM: u32 = action::ERRNO | libc::EPERM as u32;
const EINVAL: u32 = action::ERRNO | libc::EINVAL as u32;
const ENOSYS: u32 = action::ERRNO | libc::ENOSYS as u32;

/// The personalities that programs may choose: PER_LINUX, PER_LINUX32, UNAME26 and both, and asking.
const PERSONALITIES: [u64; 5] = [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// Arguments that the kernel takes as `int`: the high word is not compared, or it would slip by unseen.
const INT: u64 = 0xffff_ffff;

/// Calls that need one of these capabilities, and are forbidden without.
const NEEDS: &[(&[Capability], &[&str])] = {
    use Capability as C;
    &[
        (&[C::DacReadSearch], &["open_by_handle_at"]),
        (
            &[C::SysAdmin],
            &["lookup_dcookie", "quotactl", "quotactl_fd", "setdomainname", "sethostname", "setns"],
        ),
        (&[C::SysAdmin, C::Bpf], &["bpf"]),
        (&[C::SysAdmin, C::Perfmon], &["perf_event_open"]),
        (&[C::SysChroot], &["chroot"]),
        (&[C::SysModule], &["delete_module", "finit_module", "init_module", "query_module"]),
        (&[C::SysPacct], &["acct"]),
        (&[C::SysPtrace], &["kcmp", "process_madvise"]),
        (&[C::SysRawio], &["ioperm", "iopl"]),
        (&[C::SysTime], &["clock_settime", "clock_settime64", "settimeofday", "stime"]),
        (&[C::SysTtyConfig], &["vhangup"]),
    ]
};

/// Forbidden whatever the capabilities.
#[rustfmt::skip]
const FORBIDDEN: &[&str] = &[
    "bdflush", "cachestat", "io_pgetevents", "kexec_file_load", "kexec_load", "map_shadow_stack",
    "migrate_pages", "move_pages", "nfsservctl", "nice", "oldfstat", "oldlstat", "oldolduname", "oldstat",
    "olduname", "pciconfig_iobase", "pciconfig_read", "pciconfig_write", "sgetmask", "ssetmask",
    "swapcontext", "swapoff", "swapon", "syscall", "sysfs", "uselib", "userfaultfd", "ustat", "vm86",
    "vm86old", "vmsplice",
];

/// Allowed whatever the capabilities.
#[rustfmt::skip]
const ALLOWED: &[&str] = &[
    "_llseek", "_newselect", "accept", "accept4", "access", "adjtimex", "alarm", "arch_prctl",
    "arm_fadvise64_64", "arm_sync_file_range", "bind", "breakpoint", "brk", "cacheflush", "capget", "capset",
    "chdir", "chmod", "chown", "chown32", "clock_adjtime", "clock_adjtime64", "clock_getres",
    "clock_getres_time64", "clock_gettime", "clock_gettime64", "clock_nanosleep", "clock_nanosleep_time64",
    "clone", "clone3", "close", "close_range", "connect", "copy_file_range", "creat", "dup", "dup2", "dup3",
    "epoll_create", "epoll_create1", "epoll_ctl", "epoll_ctl_old", "epoll_pwait", "epoll_pwait2", "epoll_wait",
    "epoll_wait_old", "eventfd", "eventfd2", "execve", "execveat", "exit", "exit_group", "faccessat",
    "faccessat2", "fadvise64", "fadvise64_64", "fallocate", "fanotify_init", "fanotify_mark", "fchdir",
    "fchmod", "fchmodat", "fchmodat2", "fchown", "fchown32", "fchownat", "fcntl", "fcntl64", "fdatasync",
    "fgetxattr", "file_getattr", "file_setattr", "flistxattr", "flock", "fork", "fremovexattr", "fsconfig",
    "fsetxattr", "fsmount", "fsopen", "fspick", "fstat", "fstat64", "fstatat64", "fstatfs", "fstatfs64",
    "fsync", "ftruncate", "ftruncate64", "futex", "futex_requeue", "futex_time64", "futex_wait", "futex_waitv",
    "futex_wake", "futimesat", "get_mempolicy", "get_robust_list", "get_thread_area", "getcpu", "getcwd",
    "getdents", "getdents64", "getegid", "getegid32", "geteuid", "geteuid32", "getgid", "getgid32",
    "getgroups", "getgroups32", "getitimer", "getpeername", "getpgid", "getpgrp", "getpid", "getppid",
    "getpriority", "getrandom", "getresgid", "getresgid32", "getresuid", "getresuid32", "getrlimit",
    "getrusage", "getsid", "getsockname", "getsockopt", "gettid", "gettimeofday", "getuid", "getuid32",
    "getxattr", "getxattrat", "inotify_add_watch", "inotify_init", "inotify_init1", "inotify_rm_watch",
    "io_cancel", "io_destroy", "io_getevents", "io_setup", "io_submit", "ioctl", "ioprio_get", "ioprio_set",
    "ipc", "keyctl", "kill", "landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self",
    "lchown", "lchown32", "lgetxattr", "link", "linkat", "listen", "listmount", "listxattr", "listxattrat",
    "llistxattr", "lremovexattr", "lseek", "lsetxattr", "lstat", "lstat64", "madvise", "mbind", "membarrier",
    "memfd_create", "memfd_secret", "mincore", "mkdir", "mkdirat", "mknod", "mknodat", "mlock", "mlock2",
    "mlockall", "mmap", "mmap2", "modify_ldt", "mount", "mount_setattr", "move_mount", "mprotect",
    "mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive", "mq_timedreceive_time64", "mq_timedsend",
    "mq_timedsend_time64", "mq_unlink", "mremap", "mseal", "msgctl", "msgget", "msgrcv", "msgsnd", "msync",
    "munlock", "munlockall", "munmap", "name_to_handle_at", "nanosleep", "newfstatat", "open", "open_tree",
    "open_tree_attr", "openat", "openat2", "pause", "pidfd_getfd", "pidfd_open", "pidfd_send_signal", "pipe",
    "pipe2", "pivot_root", "pkey_alloc", "pkey_free", "pkey_mprotect", "poll", "ppoll", "ppoll_time64",
    "prctl", "pread64", "preadv", "preadv2", "prlimit64", "process_mrelease", "process_vm_readv",
    "process_vm_writev", "pselect6", "pselect6_time64", "ptrace", "pwrite64", "pwritev", "pwritev2", "read",
    "readahead", "readdir", "readlink", "readlinkat", "readv", "reboot", "recv", "recvfrom", "recvmmsg",
    "recvmmsg_time64", "recvmsg", "remap_file_pages", "removexattr", "removexattrat", "rename", "renameat",
    "renameat2", "restart_syscall", "riscv_flush_icache", "riscv_hwprobe", "rmdir", "rseq", "rt_sigaction",
    "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait",
    "rt_sigtimedwait_time64", "rt_tgsigqueueinfo", "sched_get_priority_max", "sched_get_priority_min",
    "sched_getaffinity", "sched_getattr", "sched_getparam", "sched_getscheduler", "sched_rr_get_interval",
    "sched_rr_get_interval_time64", "sched_setaffinity", "sched_setattr", "sched_setparam",
    "sched_setscheduler", "sched_yield", "seccomp", "select", "semctl", "semget", "semop", "semtimedop",
    "semtimedop_time64", "send", "sendfile", "sendfile64", "sendmmsg", "sendmsg", "sendto", "set_mempolicy",
    "set_mempolicy_home_node", "set_robust_list", "set_thread_area", "set_tid_address", "set_tls", "setfsgid",
    "setfsgid32", "setfsuid", "setfsuid32", "setgid", "setgid32", "setgroups", "setgroups32", "setitimer",
    "setpgid", "setpriority", "setregid", "setregid32", "setresgid", "setresgid32", "setresuid", "setresuid32",
    "setreuid", "setreuid32", "setrlimit", "setsid", "setsockopt", "setuid", "setuid32", "setxattr",
    "setxattrat", "shmat", "shmctl", "shmdt", "shmget", "shutdown", "sigaction", "sigaltstack", "signal",
    "signalfd", "signalfd4", "sigpending", "sigprocmask", "sigreturn", "sigsuspend", "socketcall",
    "socketpair", "splice", "stat", "stat64", "statfs", "statfs64", "statmount", "statx", "symlink",
    "symlinkat", "sync", "sync_file_range", "sync_file_range2", "syncfs", "sysinfo", "syslog", "tee", "tgkill",
    "time", "timer_create", "timer_delete", "timer_getoverrun", "timer_gettime", "timer_gettime64",
    "timer_settime", "timer_settime64", "timerfd_create", "timerfd_gettime", "timerfd_gettime64",
    "timerfd_settime", "timerfd_settime64", "times", "tkill", "truncate", "truncate64", "ugetrlimit", "umask",
    "umount", "umount2", "uname", "unlink", "unlinkat", "unshare", "uretprobe", "utime", "utimensat",
    "utimensat_time64", "utimes", "vfork", "wait4", "waitid", "waitpid", "write", "writev",
];

/// The rules in force with these capabilities (of the bounding set).
fn rules(granted: &Capabilities) -> Vec<Rule<'static>> {
    let plain = |action| move |name: &&'static str| Rule { name, checks: Vec::new(), action };
    let mut rules: Vec<Rule<'static>> = Vec::with_capacity(512);
    rules.extend(ALLOWED.iter().map(plain(action::ALLOW)));
    rules.extend(FORBIDDEN.iter().map(plain(EPERM)));
    for (capabilities, names) in NEEDS {
        let has = capabilities.iter().any(|capability| granted.contains(capability));
        rules.extend(names.iter().map(plain(if has { action::ALLOW } else { EPERM })));
    }
    let personality = |value| Rule {
        name: "personality",
        checks: vec![Check { index: 0, op: Op::Equal, value, second: 0 }],
        action: action::ALLOW,
    };
    rules.extend(PERSONALITIES.map(personality));
    rules.extend(socket(granted));
    rules
}

/// Every socket but AF_VSOCK, which reaches past the network namespace to the hypervisor, and the audit
/// netlink, whose EINVAL tells sudo and sshd that there is no audit.
fn socket(granted: &Capabilities) -> Vec<Rule<'static>> {
    let is = |index, second| Check { index, op: Op::MaskedEqual, value: INT, second };
    let rule = |checks, action| Rule { name: "socket", checks, action };
    let mut rules = vec![rule(vec![is(0, libc::AF_VSOCK as u64)], EPERM)];
    if !granted.contains(&Capability::AuditWrite) {
        let audit = vec![is(0, libc::AF_NETLINK as u64), is(2, libc::NETLINK_AUDIT as u64)];
        rules.push(rule(audit, EINVAL));
    }
    rules.push(rule(Vec::new(), action::ALLOW));
    rules
}

/// Compiles the default profile for a container that has these capabilities in its bounding set.
pub fn default_filter(granted: &Capabilities) -> Filter {
    match compile(ENOSYS, Arch::NATIVE.family(), rules(granted)) {
        Ok(program) => Filter { program, flags: 0 },
        Err(error) => unreachable!("the default profile is a constant that fits: {error}"),
    }
}

/// The default profile in the form of the OCI runtime specification, for `inspect` and other runtimes.
pub fn default_spec(granted: &Capabilities) -> LinuxSeccomp {
    let mut calls: Vec<LinuxSyscall> = Vec::new();
    let mut lists: Vec<(u32, Vec<String>)> = Vec::new();
    for rule in rules(granted) {
        if !rule.checks.is_empty() {
            calls.push(call(vec![rule.name.to_owned()], rule.action, &rule.checks));
            continue;
        }
        match lists.iter_mut().find(|(action, _)| *action == rule.action) {
            Some((_, names)) => names.push(rule.name.to_owned()),
            None => lists.push((rule.action, vec![rule.name.to_owned()])),
        }
    }
    calls.extend(lists.into_iter().map(|(action, names)| call(names, action, &[])));
    let spec = LinuxSeccompBuilder::default()
        .default_action(LinuxSeccompAction::ScmpActErrno)
        .default_errno_ret(libc::ENOSYS as u32)
        .architectures(Arch::NATIVE.family().iter().map(|arch| spec_arch(*arch)).collect::<Vec<_>>())
        .syscalls(calls);
    match spec.build() {
        Ok(spec) => spec,
        Err(error) => unreachable!("the default profile is a constant that is complete: {error}"),
    }
}

fn call(names: Vec<String>, action: u32, checks: &[Check]) -> LinuxSyscall {
    let builder = LinuxSyscallBuilder::default().names(names);
    let builder = match action {
        action::ALLOW => builder.action(LinuxSeccompAction::ScmpActAllow),
        errno => builder.action(LinuxSeccompAction::ScmpActErrno).errno_ret(errno & 0xffff),
    };
    let builder = match checks {
        [] => builder,
        _ => builder.args(checks.iter().map(arg).collect::<Vec<_>>()),
    };
    match builder.build() {
        Ok(call) => call,
        Err(error) => unreachable!("the rule has names and an action: {error}"),
    }
}

fn arg(check: &Check) -> LinuxSeccompArg {
    let builder = LinuxSeccompArgBuilder::default().index(check.index as usize).value(check.value);
    let builder = match check.op {
        Op::MaskedEqual => builder.op(LinuxSeccompOperator::ScmpCmpMaskedEq).value_two(check.second),
        _ => builder.op(LinuxSeccompOperator::ScmpCmpEq),
    };
    match builder.build() {
        Ok(arg) => arg,
        Err(error) => unreachable!("the condition is complete: {error}"),
    }
}

#[cfg(test)]
pub(super) fn for_tests(granted: &Capabilities, arches: &[Arch]) -> Vec<crate::sys::bpf::Instruction> {
    compile(ENOSYS, arches, rules(granted)).unwrap()
}

#[cfg(test)]
pub(super) const LISTS: (&[&str], &[&str]) = (ALLOWED, FORBIDDEN);
