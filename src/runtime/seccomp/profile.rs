//! Profiles as users write them (Docker's and Podman's JSON), and the form of the OCI runtime specification.

use std::path::Path;

use oci_spec::runtime::{
    Arch as SpecArch, Capabilities, Capability, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg,
    LinuxSeccompBuilder, LinuxSeccompFilterFlag, LinuxSeccompOperator, LinuxSyscall, LinuxSyscallBuilder,
};
use serde::Deserialize;

use super::compile::Rule;
use super::{Arch, Check, Filter, Op, action};
use crate::base::error::{Context, Explain, Kind, Result, bail, ensure, fail};
use crate::base::fs;

/// A profile is a megabyte at the most.
const LIMIT: u64 = 1 << 20;

/// A parsed profile, before it is known for which machine and capabilities it is.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    default_action: LinuxSeccompAction,
    default_errno_ret: Option<u32>,
    default_errno: Option<String>,
    architectures: Option<Vec<String>>,
    arch_map: Option<Vec<Family>>,
    flags: Option<Vec<LinuxSeccompFilterFlag>>,
    listener_path: Option<String>,
    syscalls: Option<Vec<Call>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Family {
    architecture: String,
    sub_architectures: Option<Vec<String>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Call {
    name: Option<String>,
    names: Option<Vec<String>>,
    action: LinuxSeccompAction,
    errno_ret: Option<u32>,
    errno: Option<String>,
    args: Option<Vec<LinuxSeccompArg>>,
    includes: Option<Condition>,
    excludes: Option<Condition>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    caps: Option<Vec<String>>,
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

impl Profile {
    /// Parses the text of a profile.
    pub fn parse(text: &str) -> Result<Profile> {
        let profile: Profile =
            serde_json::from_str(text).context("parse seccomp profile").kind(Kind::Usage)?;
        profile.check().context("seccomp profile")?;
        Ok(profile)
    }

    /// Reads a profile. One that is missing or wrong stops the container: it would run unfiltered.
    pub fn read(path: &Path) -> Result<Profile> {
        let bytes = fs::read_limited(path, LIMIT)?;
        let text = String::from_utf8(bytes).with_context(|| format!("read `{}`", path.display()))?;
        Profile::parse(&text).with_context(|| format!("seccomp profile `{}`", path.display()))
    }

    fn check(&self) -> Result<()> {
        let both = self.architectures.as_ref().is_some_and(|list| !list.is_empty())
            && self.arch_map.as_ref().is_some_and(|map| !map.is_empty());
        ensure!(!both, "`architectures` and `archMap` are both given");
        ensure!(self.listener_path.as_deref().unwrap_or("").is_empty(), "`listenerPath` is not supported");
        for call in self.syscalls.iter().flatten() {
            let listed = call.names.as_ref().is_some_and(|names| !names.is_empty());
            ensure!(!(call.name.is_some() && listed), "a rule has both `name` and `names`");
            ensure!(call.name.is_some() || listed, "a rule names no system call");
        }
        Ok(())
    }

    /// Picks what holds on this machine for a container with these capabilities (of the bounding set).
    pub fn resolve(&self, granted: &Capabilities) -> Result<LinuxSeccomp> {
        self.resolve_for(granted, Arch::NATIVE, kernel_release())
    }

    fn resolve_for(&self, granted: &Capabilities, arch: Arch, kernel: (u32, u32)) -> Result<LinuxSeccomp> {
        let mut calls = Vec::new();
        for call in self.syscalls.iter().flatten() {
            if call.applies(granted, arch, kernel)? {
                calls.push(call.resolve()?);
            }
        }
        let mut spec = LinuxSeccompBuilder::default()
            .default_action(self.default_action)
            .architectures(self.arches(arch))
            .syscalls(calls)
            .build()
            .context("seccomp profile")?;
        spec.set_default_errno_ret(errno(self.default_errno.as_deref(), self.default_errno_ret)?);
        spec.set_flags(self.flags.clone().filter(|flags| !flags.is_empty()));
        Ok(spec)
    }

    fn arches(&self, native: Arch) -> Vec<SpecArch> {
        let listed: Vec<&str> = match (&self.arch_map, &self.architectures) {
            (Some(map), _) if !map.is_empty() => map
                .iter()
                .filter(|family| family.architecture == spec_name(native))
                .flat_map(|family| family.sub_architectures.iter().flatten())
                .map(String::as_str)
                .collect(),
            (_, Some(list)) => list.iter().map(String::as_str).collect(),
            _ => Vec::new(),
        };
        let used = |arch: &&Arch| **arch == native || listed.contains(&spec_name(**arch));
        native.family().iter().filter(used).map(|arch| spec_arch(*arch)).collect()
    }
}

impl Call {
    fn applies(&self, granted: &Capabilities, arch: Arch, kernel: (u32, u32)) -> Result<bool> {
        let includes = self.includes.as_ref();
        let excludes = self.excludes.as_ref();
        for name in includes.and_then(|c| c.caps.as_ref()).into_iter().flatten() {
            if !granted.contains(&capability(name)?) {
                return Ok(false);
            }
        }
        for name in excludes.and_then(|c| c.caps.as_ref()).into_iter().flatten() {
            if granted.contains(&capability(name)?) {
                return Ok(false);
            }
        }
        let here = |c: &Condition| c.arches.as_ref().filter(|a| !a.is_empty()).map(|a| on(a, arch));
        let recent = |c: &Condition| c.min_kernel.as_deref().filter(|v| !v.is_empty()).map(release);
        let included = includes.and_then(here).unwrap_or(true) && !excludes.and_then(here).unwrap_or(false);
        let from = includes.and_then(recent).transpose()?.is_none_or(|minimum| kernel >= minimum);
        let until = excludes.and_then(recent).transpose()?.is_none_or(|minimum| kernel < minimum);
        Ok(included && from && until)
    }

    fn resolve(&self) -> Result<LinuxSyscall> {
        let names = self.name.iter().chain(self.names.iter().flatten()).cloned().collect::<Vec<_>>();
        let builder = LinuxSyscallBuilder::default().names(names).action(self.action);
        let mut call = builder.build().context("seccomp rule")?;
        call.set_errno_ret(errno(self.errno.as_deref(), self.errno_ret)?);
        call.set_args(self.args.clone().filter(|args| !args.is_empty()));
        Ok(call)
    }
}

fn on(arches: &[String], native: Arch) -> bool {
    let known = |name: &String| name == native.go_name() || (native == Arch::X86 && name == "x86");
    arches.iter().any(known)
}

fn capability(name: &str) -> Result<Capability> {
    let bare = name.strip_prefix("CAP_").unwrap_or(name);
    bare.parse().ok().with_context(|| format!("capability `{name}` is not known"))
}

/// `4.8` and the beginning of `6.1.0-32-amd64`.
fn release(text: &str) -> Result<(u32, u32)> {
    let number = |part: &str| part.split(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse().ok());
    let mut parts = text.splitn(3, '.').map(number);
    match (parts.next().flatten(), parts.next().flatten()) {
        (Some(major), Some(minor)) => Ok((major, minor)),
        _ => bail!("kernel version `{text}` is not a version"),
    }
}

fn kernel_release() -> (u32, u32) {
    release(&rustix::system::uname().release().to_string_lossy()).unwrap_or_default()
}

/// Podman's profiles name an errno; the number is for older readers.
fn errno(name: Option<&str>, number: Option<u32>) -> Result<Option<u32>> {
    const NAMES: [(&str, i32); 20] = [
        ("EPERM", libc::EPERM),
        ("ENOENT", libc::ENOENT),
        ("ESRCH", libc::ESRCH),
        ("EINTR", libc::EINTR),
        ("EIO", libc::EIO),
        ("ENXIO", libc::ENXIO),
        ("EBADF", libc::EBADF),
        ("EAGAIN", libc::EAGAIN),
        ("ENOMEM", libc::ENOMEM),
        ("EACCES", libc::EACCES),
        ("EFAULT", libc::EFAULT),
        ("EBUSY", libc::EBUSY),
        ("EEXIST", libc::EEXIST),
        ("ENODEV", libc::ENODEV),
        ("EINVAL", libc::EINVAL),
        ("EROFS", libc::EROFS),
        ("ENOSYS", libc::ENOSYS),
        ("ENOTSUP", libc::ENOTSUP),
        ("EOPNOTSUPP", libc::EOPNOTSUPP),
        ("EAFNOSUPPORT", libc::EAFNOSUPPORT),
    ];
    let known = |name: &str| NAMES.iter().find(|(known, _)| *known == name).map(|(_, value)| *value as u32);
    match name.filter(|name| !name.is_empty()) {
        None => Ok(number),
        Some(name) => match known(name).or(number).or_else(|| name.parse().ok()) {
            Some(value) => Ok(Some(value)),
            None => bail!("errno `{name}` is not known"),
        },
    }
}

fn spec_name(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "SCMP_ARCH_X86_64",
        Arch::X32 => "SCMP_ARCH_X32",
        Arch::X86 => "SCMP_ARCH_X86",
        Arch::Aarch64 => "SCMP_ARCH_AARCH64",
        Arch::Arm => "SCMP_ARCH_ARM",
        Arch::Riscv64 => "SCMP_ARCH_RISCV64",
    }
}

pub(super) fn spec_arch(arch: Arch) -> SpecArch {
    match arch {
        Arch::X86_64 => SpecArch::ScmpArchX86_64,
        Arch::X32 => SpecArch::ScmpArchX32,
        Arch::X86 => SpecArch::ScmpArchX86,
        Arch::Aarch64 => SpecArch::ScmpArchAarch64,
        Arch::Arm => SpecArch::ScmpArchArm,
        Arch::Riscv64 => SpecArch::ScmpArchRiscv64,
    }
}

/// Compiles the `linux.seccomp` of a runtime specification. Errors say what the profile asks in vain.
pub fn compile(spec: &LinuxSeccomp) -> Result<Filter> {
    compile_for(spec, Arch::NATIVE).context("seccomp profile").kind(Kind::Usage)
}

pub(super) fn compile_for(spec: &LinuxSeccomp, native: Arch) -> Result<Filter> {
    if spec.listener_path().is_some() {
        return Err(notify());
    }
    let listed = spec.architectures().as_deref().unwrap_or_default();
    let used = |arch: &Arch| *arch == native || listed.contains(&spec_arch(*arch));
    let arches: Vec<Arch> = native.family().iter().copied().filter(used).collect();
    let default = action_word(spec.default_action(), spec.default_errno_ret())?;
    let mut rules = Vec::new();
    for call in spec.syscalls().iter().flatten() {
        add_rules(&mut rules, call)?;
    }
    let program = super::compile::compile(default, &arches, rules)?;
    Ok(Filter { program, flags: flags(spec.flags().as_deref().unwrap_or_default())? })
}

fn add_rules<'a>(rules: &mut Vec<Rule<'a>>, call: &'a LinuxSyscall) -> Result<()> {
    let action = action_word(call.action(), call.errno_ret())?;
    let checks: Vec<Check> = call.args().iter().flatten().map(check).collect::<Result<_>>()?;
    // As in runc, conditions on one argument are alternatives; on different ones, all must hold.
    let repeated = (1..checks.len()).any(|i| checks[..i].iter().any(|c| c.index == checks[i].index));
    for name in call.names() {
        if repeated {
            rules.extend(checks.iter().map(|check| Rule { name, checks: vec![*check], action }));
        } else {
            rules.push(Rule { name, checks: checks.clone(), action });
        }
    }
    Ok(())
}

fn check(arg: &LinuxSeccompArg) -> Result<Check> {
    ensure!(arg.index() < 6, "a system call has six arguments, there is no index {}", arg.index());
    let op = match arg.op() {
        LinuxSeccompOperator::ScmpCmpNe => Op::NotEqual,
        LinuxSeccompOperator::ScmpCmpLt => Op::Less,
        LinuxSeccompOperator::ScmpCmpLe => Op::AtMost,
        LinuxSeccompOperator::ScmpCmpEq => Op::Equal,
        LinuxSeccompOperator::ScmpCmpGe => Op::AtLeast,
        LinuxSeccompOperator::ScmpCmpGt => Op::Greater,
        LinuxSeccompOperator::ScmpCmpMaskedEq => Op::MaskedEqual,
    };
    Ok(Check { index: arg.index() as u32, op, value: arg.value(), second: arg.value_two().unwrap_or(0) })
}

fn action_word(kind: LinuxSeccompAction, errno: Option<u32>) -> Result<u32> {
    use LinuxSeccompAction as A;
    let number = errno.unwrap_or(libc::EPERM as u32);
    ensure!(number <= 0xffff, "errno {number} does not fit 16 bits");
    Ok(match kind {
        A::ScmpActKill | A::ScmpActKillThread => action::KILL_THREAD,
        A::ScmpActKillProcess => action::KILL_PROCESS,
        A::ScmpActTrap => action::TRAP,
        A::ScmpActErrno => action::ERRNO | number,
        A::ScmpActTrace => action::TRACE | number,
        A::ScmpActLog => action::LOG,
        A::ScmpActAllow => action::ALLOW,
        A::ScmpActNotify => return Err(notify()),
    })
}

fn notify() -> crate::base::error::Error {
    fail(Kind::Usage, "SCMP_ACT_NOTIFY is not supported: dhow has no listener for notified system calls")
        .hint("use SCMP_ACT_ERRNO or SCMP_ACT_LOG in the profile")
}

fn flags(flags: &[LinuxSeccompFilterFlag]) -> Result<u32> {
    use LinuxSeccompFilterFlag as F;
    flags.iter().try_fold(0, |all, flag| {
        Ok(all
            | match flag {
                F::SeccompFilterFlagTsync => libc::SECCOMP_FILTER_FLAG_TSYNC as u32,
                F::SeccompFilterFlagLog => libc::SECCOMP_FILTER_FLAG_LOG as u32,
                F::SeccompFilterFlagSpecAllow => libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW as u32,
                F::SeccompFilterFlagWaitKillableRecv => bail!("flag `{flag}` needs SCMP_ACT_NOTIFY"),
            })
    })
}
