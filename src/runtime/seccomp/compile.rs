//! From rules to a BPF program.
//!
//! System calls with the same answer and neighbouring numbers become one range, and the ranges of an
//! architecture one balanced tree of comparisons: seven or eight steps for any call, where a list has hundreds.
//! (Linux 5.11 and later answer calls that are always allowed from a bitmap which they make of the filter, by
//! running it with the number alone; the shape here lets them.)
//!
//! What a profile says of one call is tried in its order, rules with conditions first and then the first one
//! without; where nothing fits, the profile's default holds.

use super::asm::{Assembler, IF_AT_LEAST, IF_EQUAL, IF_GREATER, Label};
use super::syscalls::{SYSCALLS, Syscall};
use super::{Arch, Check, Op, action};
use crate::base::error::{Result, ensure};
use crate::sys::bpf::Instruction;

/// `BPF_MAXINSNS`: what the kernel takes.
const MOST: usize = 4096;

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCH: u32 = 4;
const ARGS: u32 = 16;

/// The bit that tells x32 calls from those of x86_64, which have the same `arch`.
const X32_BIT: u32 = 0x4000_0000;

/// What happens on one call under conditions that must all hold.
#[derive(Debug, Clone)]
pub(super) struct Rule<'a> {
    pub(super) name: &'a str,
    pub(super) checks: Vec<Check>,
    pub(super) action: u32,
}

/// Compiles `rules` for `arches`, of which the first is the machine's own.
pub(super) fn compile(default: u32, arches: &[Arch], mut rules: Vec<Rule<'_>>) -> Result<Vec<Instruction>> {
    rules.sort_by_key(|rule| rule.name); // stable: rules of one call keep their order
    let matched = join(&rules);
    let mut asm = Assembler::default();
    // A foreign architecture means another table of numbers: nothing in the profile speaks of it.
    let mut next = asm.ret(action::KILL_PROCESS);
    let mut domains: Vec<u32> = Vec::new();
    for arch in arches {
        if !domains.contains(&arch.audit()) {
            domains.push(arch.audit());
        }
    }
    for audit in domains.into_iter().rev() {
        let members: Vec<Arch> = arches.iter().copied().filter(|arch| arch.audit() == audit).collect();
        let body = domain(&mut asm, default, &members, &matched);
        next = asm.branch(IF_EQUAL, audit, body, next);
    }
    asm.load(ARCH, None, next);
    ensure!(asm.len() <= MOST, "seccomp profile: {} instructions, the kernel takes {MOST}", asm.len());
    Ok(asm.finish())
}

/// The rules of one system call.
type Matched<'a, 'b> = (&'static Syscall, &'b [Rule<'a>]);

/// Walks both sorted lists once. Names that no architecture knows are left out, as libseccomp's users do.
fn join<'a, 'b>(rules: &'b [Rule<'a>]) -> Vec<Matched<'a, 'b>> {
    let mut known = SYSCALLS.iter().peekable();
    let mut out = Vec::with_capacity(SYSCALLS.len());
    for group in rules.chunk_by(|a, b| a.name == b.name) {
        while known.next_if(|call| call.name < group[0].name).is_some() {}
        if let Some(call) = known.next_if(|call| call.name == group[0].name) {
            out.push((call, group));
        }
    }
    out
}

/// The part of the program for the architectures that share one `arch` word.
fn domain(asm: &mut Assembler, default: u32, members: &[Arch], matched: &[Matched<'_, '_>]) -> Label {
    let mut points: Vec<(u32, Target)> = Vec::with_capacity(matched.len() * members.len());
    for (call, rules) in matched {
        let numbers = members.iter().filter_map(|arch| call.number(*arch));
        let mut target = None;
        for number in numbers {
            let target = *target.get_or_insert_with(|| answer(asm, default, rules));
            points.push((number, target));
        }
    }
    points.sort_unstable_by_key(|(number, _)| *number);
    let ranges = ranges(default, &points, members);
    let tree = tree(asm, &ranges);
    asm.load(NUMBER, None, tree)
}

/// What a range of numbers leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Action(u32),
    Chain(Label),
}

/// Covers all numbers from 0 with as few ranges as possible; each goes up to the start of the next.
fn ranges(default: u32, points: &[(u32, Target)], members: &[Arch]) -> Vec<(u32, Target)> {
    let mut out: Vec<(u32, Target)> = vec![(0, Target::Action(default))];
    let mut start = |at: u32, target: Target| match out.last_mut() {
        Some(last) if last.1 == target => {}
        Some(last) if last.0 == at => last.1 = target,
        _ => out.push((at, target)),
    };
    for (number, target) in points {
        start(*number, *target);
        start(number + 1, Target::Action(default));
    }
    if members.contains(&Arch::X86_64) && !members.contains(&Arch::X32) {
        start(X32_BIT, Target::Action(action::KILL_PROCESS));
        start(u32::MAX, Target::Action(default)); // -1: a tracer skipped the call
    }
    merge(out)
}

/// A range that was begun and taken over at once leaves equal neighbours.
fn merge(mut ranges: Vec<(u32, Target)>) -> Vec<(u32, Target)> {
    ranges.dedup_by(|later, earlier| later.1 == earlier.1);
    ranges
}

fn tree(asm: &mut Assembler, ranges: &[(u32, Target)]) -> Label {
    match ranges {
        [(_, Target::Action(action))] => asm.ret(*action),
        [(_, Target::Chain(label))] => *label,
        _ => {
            let (low, high) = ranges.split_at(ranges.len() / 2);
            let above = tree(asm, high);
            let below = tree(asm, low);
            asm.branch(IF_AT_LEAST, high[0].0, above, below)
        }
    }
}

/// The answer to one call: an action, or a chain of conditions that ends in one.
fn answer(asm: &mut Assembler, default: u32, rules: &[Rule<'_>]) -> Target {
    let always = rules.iter().find(|rule| rule.checks.is_empty()).map_or(default, |rule| rule.action);
    if rules.iter().all(|rule| rule.checks.is_empty() || rule.action == always) {
        return Target::Action(always);
    }
    let mut otherwise = asm.ret(always);
    for rule in rules.iter().rev().filter(|rule| !rule.checks.is_empty()) {
        let mut next = asm.ret(rule.action);
        for check in rule.checks.iter().rev() {
            next = condition(asm, check, next, otherwise);
        }
        otherwise = next;
    }
    Target::Chain(otherwise)
}

/// Compares one argument, 64 bits as two words: the high one first, the low one where that decides nothing.
fn condition(asm: &mut Assembler, check: &Check, yes: Label, no: Label) -> Label {
    let (low_at, high_at) = words(check.index);
    let (low, high) = (check.value as u32, (check.value >> 32) as u32);
    match check.op {
        Op::Equal => equal(asm, check.index, check.value, None, yes, no),
        Op::NotEqual => equal(asm, check.index, check.value, None, no, yes),
        Op::MaskedEqual => equal(asm, check.index, check.second, Some(check.value), yes, no),
        Op::Less => condition(asm, &Check { op: Op::AtLeast, ..*check }, no, yes),
        Op::AtMost => condition(asm, &Check { op: Op::Greater, ..*check }, no, yes),
        Op::Greater | Op::AtLeast => {
            let code = if check.op == Op::Greater { IF_GREATER } else { IF_AT_LEAST };
            let compare_low = asm.branch(code, low, yes, no);
            let low_part = asm.load(low_at, None, compare_low);
            let same = asm.branch(IF_EQUAL, high, low_part, no);
            let compare_high = asm.branch(IF_GREATER, high, yes, same);
            asm.load(high_at, None, compare_high)
        }
    }
}

fn equal(asm: &mut Assembler, index: u32, value: u64, mask: Option<u64>, yes: Label, no: Label) -> Label {
    let (low_at, high_at) = words(index);
    let compare_low = asm.branch(IF_EQUAL, value as u32, yes, no);
    let low_part = asm.load(low_at, mask.map(|mask| mask as u32), compare_low);
    if mask.is_some_and(|mask| mask >> 32 == 0) && value >> 32 == 0 {
        return low_part; // the high word is masked away
    }
    let compare_high = asm.branch(IF_EQUAL, (value >> 32) as u32, low_part, no);
    asm.load(high_at, mask.map(|mask| (mask >> 32) as u32), compare_high)
}

/// Offsets of the low and the high word of an argument, in the machine's order of bytes.
const fn words(index: u32) -> (u32, u32) {
    let at = ARGS + 8 * index;
    if cfg!(target_endian = "little") { (at, at + 4) } else { (at + 4, at) }
}
