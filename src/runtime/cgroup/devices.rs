//! Which devices the processes of a cgroup may use: lines of v1's devices controller, or a BPF program of v2.
//!
//! Rules are read in order and the last one that fits decides; what no rule speaks of is denied.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};
use rustix::fs::{Mode, OFlags};

use crate::base::error::{Context, Explain, Result};
use crate::sys::bpf::{self, ExtendedInstruction};

/// Whether the rules take anything away: a privileged container's only rule allows all, which needs nothing.
pub(super) fn restrict(rules: &[LinuxDeviceCgroup]) -> bool {
    rules.iter().any(|rule| !rule.allow())
}

/// One rule as v1 takes it: `c 1:3 rwm`.
fn line(rule: &LinuxDeviceCgroup) -> String {
    let kind = match rule.typ().unwrap_or_default() {
        LinuxDeviceType::B => "b",
        LinuxDeviceType::C | LinuxDeviceType::U => "c",
        _ => "a",
    };
    let number = |number: Option<i64>| match number {
        Some(number) if number >= 0 => number.to_string(),
        _ => "*".to_owned(),
    };
    let access = rule.access().as_deref().filter(|access| !access.is_empty()).unwrap_or("rwm");
    format!("{kind} {}:{} {access}", number(rule.major()), number(rule.minor()))
}

/// Writes the rules to v1 files, each file opened once; the kernel takes one rule a write.
pub(super) fn write_v1(dir: &Path, rules: &[LinuxDeviceCgroup]) -> Result<()> {
    let open = |name| {
        let path = dir.join(name);
        OpenOptions::new().write(true).open(&path).with_context(|| format!("open `{}`", path.display()))
    };
    let (mut allow, mut deny) = (open("devices.allow")?, open("devices.deny")?);
    for rule in rules {
        let (file, word) = if rule.allow() { (&mut allow, "allow") } else { (&mut deny, "deny") };
        let line = line(rule);
        match file.write_all(line.as_bytes()) {
            // The cgroup above does not have the device either: we are in a container, and it stays denied.
            Err(error) if rule.allow() && error.raw_os_error() == Some(libc::EPERM) => {}
            other => other.with_context(|| format!("{word} device `{line}`"))?,
        }
    }
    Ok(())
}

/// Attaches the rules to a v2 directory.
pub(super) fn attach_v2(dir: &Path, rules: &[LinuxDeviceCgroup]) -> Result<()> {
    if !restrict(rules) {
        return Ok(());
    }
    let attach = || -> std::io::Result<()> {
        let program = bpf::load_device_program(&compile(rules))?;
        let dir = rustix::fs::open(dir, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        bpf::attach_device_program(&dir, &program)
    };
    attach()
        .with_context(|| format!("restrict devices of cgroup `{}`", dir.display()))
        .hint("the kernel needs CONFIG_CGROUP_BPF; `--cgroups disabled` or `--privileged` do without")
}

// linux/bpf.h: registers, and the operations that are used here.
const R0: u8 = 0;
const CONTEXT: u8 = 1;
const KIND: u8 = 2;
const ACCESS: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
const SCRATCH: u8 = 6;
const LOAD_WORD: u8 = 0x61; // BPF_LDX | BPF_MEM | BPF_W
const MOVE: u8 = 0xbf; // BPF_ALU64 | BPF_MOV | BPF_X
const SET: u8 = 0xb7; // BPF_ALU64 | BPF_MOV | BPF_K
const AND: u8 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const SHIFT_RIGHT: u8 = 0x74; // BPF_ALU | BPF_RSH | BPF_K
const UNLESS: u8 = 0x55; // BPF_JMP | BPF_JNE | BPF_K
const IF: u8 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const UNLESS_SAME: u8 = 0x5d; // BPF_JMP | BPF_JNE | BPF_X
const EXIT: u8 = 0x95; // BPF_JMP | BPF_EXIT

fn op(code: u8, to: u8, from: u8, offset: i16, immediate: i32) -> ExtendedInstruction {
    ExtendedInstruction { code, registers: from << 4 | to, offset, immediate }
}

/// The program for `struct bpf_cgroup_dev_ctx`: access and type in one word, major, minor. The last rule comes
/// first, so that the first one that fits is the one that counts.
fn compile(rules: &[LinuxDeviceCgroup]) -> Vec<ExtendedInstruction> {
    let mut program = vec![
        op(LOAD_WORD, KIND, CONTEXT, 0, 0),
        op(MOVE, ACCESS, KIND, 0, 0),
        op(AND, KIND, 0, 0, 0xffff),
        op(SHIFT_RIGHT, ACCESS, 0, 0, 16),
        op(LOAD_WORD, MAJOR, CONTEXT, 4, 0),
        op(LOAD_WORD, MINOR, CONTEXT, 8, 0),
    ];
    for rule in rules.iter().rev() {
        let block = block(rule);
        let always = block.len() == 2;
        program.extend(block);
        if always {
            return program; // nothing after it is ever reached, which the kernel's verifier minds
        }
    }
    program.extend([op(SET, R0, 0, 0, 0), op(EXIT, 0, 0, 0, 0)]);
    program
}

/// One rule: comparisons that jump behind it when they fail, then its answer.
fn block(rule: &LinuxDeviceCgroup) -> Vec<ExtendedInstruction> {
    let mut block = Vec::new();
    match rule.typ().unwrap_or_default() {
        LinuxDeviceType::B => block.push(op(UNLESS, KIND, 0, 0, 1)),
        LinuxDeviceType::C | LinuxDeviceType::U => block.push(op(UNLESS, KIND, 0, 0, 2)),
        _ => {}
    }
    let mask = access_mask(rule.access().as_deref().unwrap_or(""));
    if mask != 7 {
        block.extend([op(MOVE, SCRATCH, ACCESS, 0, 0), op(AND, SCRATCH, 0, 0, mask)]);
        // Allowing needs all of what is wanted, denying takes any of it.
        block.push(if rule.allow() {
            op(UNLESS_SAME, SCRATCH, ACCESS, 0, 0)
        } else {
            op(IF, SCRATCH, 0, 0, 0)
        });
    }
    for (register, number) in [(MAJOR, rule.major()), (MINOR, rule.minor())] {
        if let Some(number) = number.filter(|number| *number >= 0) {
            block.push(op(UNLESS, register, 0, 0, number as i32));
        }
    }
    block.extend([op(SET, R0, 0, 0, rule.allow().into()), op(EXIT, 0, 0, 0, 0)]);
    let end = block.len();
    for (at, instruction) in block.iter_mut().enumerate() {
        if matches!(instruction.code, UNLESS | IF | UNLESS_SAME) {
            instruction.offset = (end - at - 1) as i16;
        }
    }
    block
}

/// `BPF_DEVCG_ACC_…`: mknod 1, read 2, write 4.
fn access_mask(access: &str) -> i32 {
    let bit = |letter| match letter {
        'm' => 1,
        'r' => 2,
        'w' => 4,
        _ => 0,
    };
    match access.chars().map(bit).fold(0, |mask, bit| mask | bit) {
        0 => 7,
        mask => mask,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::defaults::{device_rule, device_rules};

    /// Runs a device program: kind 1 block or 2 character, access as in `access_mask`.
    fn run(program: &[ExtendedInstruction], kind: u32, access: u32, major: u32, minor: u32) -> bool {
        let context = [access << 16 | kind, major, minor];
        let mut r = [0u64; 11];
        let mut at = 0usize;
        loop {
            let i = program[at];
            at += 1;
            let (to, from) = (usize::from(i.registers & 15), usize::from(i.registers >> 4));
            let jump = match i.code {
                LOAD_WORD => {
                    r[to] = context[i.offset as usize / 4].into();
                    false
                }
                MOVE => {
                    r[to] = r[from];
                    false
                }
                SET => {
                    r[to] = i.immediate as u64;
                    false
                }
                AND => {
                    r[to] &= u64::from(i.immediate as u32);
                    false
                }
                SHIFT_RIGHT => {
                    r[to] >>= i.immediate;
                    false
                }
                UNLESS => r[to] != i.immediate as u64,
                IF => r[to] == i.immediate as u64,
                UNLESS_SAME => r[to] != r[from],
                EXIT => return r[0] == 1,
                code => panic!("instruction {code:#x}"),
            };
            if jump {
                at += i.offset as usize;
            }
        }
    }

    #[test]
    fn the_defaults_allow_the_default_nodes_and_making_any() {
        let program = compile(&device_rules());
        for (kind, access, major, minor, wanted) in [
            (2, 6, 1, 3, true),    // /dev/null
            (2, 7, 5, 0, true),    // /dev/tty
            (2, 6, 136, 77, true), // a pseudo-terminal
            (1, 1, 8, 0, true),    // mknod of a disk
            (1, 2, 8, 0, false),   // reading it
            (1, 3, 8, 0, false),
            (2, 2, 1, 1, false), // /dev/mem
            (2, 2, 10, 200, false),
        ] {
            assert_eq!(run(&program, kind, access, major, minor), wanted, "{kind} {access} {major}:{minor}");
        }
    }

    #[test]
    fn the_last_rule_that_fits_decides() {
        use LinuxDeviceType::{A, B};
        let mut rules = device_rules();
        rules.push(device_rule(true, B, Some(8), None, "r"));
        let program = compile(&rules);
        assert!(run(&program, 1, 2, 8, 5) && !run(&program, 1, 4, 8, 5) && !run(&program, 1, 6, 8, 5));
        rules.push(device_rule(false, B, Some(8), Some(5), "rw"));
        let program = compile(&rules);
        assert!(run(&program, 1, 2, 8, 4) && !run(&program, 1, 2, 8, 5));
        let all = [device_rule(true, A, None, None, "rwm")];
        assert!(!restrict(&all) && restrict(&device_rules()));
        assert!(run(&compile(&all), 1, 7, 99, 99));
        assert!(!run(&compile(&[]), 2, 2, 1, 3));
    }

    #[test]
    fn lines_are_what_v1_reads() {
        let lines: Vec<String> = device_rules().iter().map(line).collect();
        assert_eq!(lines[0], "a *:* rwm");
        assert_eq!(lines[1], "c *:* m");
        assert_eq!(lines[3], "c 1:3 rwm");
        assert_eq!(lines[11], "c 136:* rwm");
    }

    /// As root, the kernel's verifier has the last word.
    #[test]
    fn the_kernel_takes_the_program() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        match bpf::load_device_program(&compile(&device_rules())) {
            Ok(_) => {}
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => {} // root of a container
            Err(error) => panic!("{error}"),
        }
    }
}
