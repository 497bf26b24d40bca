//! A classic BPF assembler that works from the end of the program to its start.
//!
//! BPF jumps only forward, so whatever a jump aims at is already placed when the jump is: its distance is known,
//! no pass over the program corrects it later, and one that is too far for the 8 bits of a conditional jump
//! gets a long jump put right behind it.

use crate::sys::bpf::Instruction;

// linux/bpf_common.h
pub(super) const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
pub(super) const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
pub(super) const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA
pub(super) const IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
pub(super) const IF_GREATER: u16 = 0x25; // BPF_JMP | BPF_JGT | BPF_K
pub(super) const IF_AT_LEAST: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
pub(super) const RETURN: u16 = 0x06; // BPF_RET | BPF_K

/// The farthest that a conditional jump is aimed, less than its 255 because one long jump may be put between.
const NEAR: usize = 250;

/// A placed instruction, counted from the end of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label(usize);

/// The program so far, last instruction first.
#[derive(Default)]
pub(super) struct Assembler {
    reversed: Vec<Instruction>,
    returns: Vec<(u32, Label)>,
}

impl Assembler {
    fn push(&mut self, code: u16, jt: u8, jf: u8, k: u32) -> Label {
        self.reversed.push(Instruction { code, jt, jf, k });
        Label(self.reversed.len() - 1)
    }

    /// How many instructions lie between the next one to be placed and `target`.
    fn distance(&self, target: Label) -> usize {
        self.reversed.len() - 1 - target.0
    }

    /// Ends the program with `action`, by an instruction that is already near if there is one.
    pub(super) fn ret(&mut self, action: u32) -> Label {
        let known = self.returns.iter().position(|(known, _)| *known == action);
        if let Some((_, label)) = known.map(|at| self.returns[at])
            && self.distance(label) < NEAR / 2
        {
            return label;
        }
        let label = self.push(RETURN, 0, 0, action);
        match known {
            Some(at) => self.returns[at].1 = label,
            None => self.returns.push((action, label)),
        }
        label
    }

    /// A conditional jump on the accumulator.
    pub(super) fn branch(&mut self, code: u16, k: u32, yes: Label, no: Label) -> Label {
        if yes == no {
            return yes;
        }
        let (yes, no) = (self.near(yes), self.near(no));
        let (jt, jf) = (self.distance(yes), self.distance(no));
        debug_assert!(jt < 256 && jf < 256, "near() keeps jumps short");
        self.push(code, jt as u8, jf as u8, k)
    }

    fn near(&mut self, target: Label) -> Label {
        match self.distance(target) {
            0..=NEAR => target,
            far => self.push(JUMP, 0, 0, far as u32),
        }
    }

    /// Loads a word of `struct seccomp_data`, perhaps masks it, and goes on at `next`.
    pub(super) fn load(&mut self, offset: u32, mask: Option<u32>, next: Label) -> Label {
        match self.distance(next) {
            0 => {}
            far => _ = self.push(JUMP, 0, 0, far as u32),
        }
        if let Some(mask) = mask {
            self.push(AND, 0, 0, mask);
        }
        self.push(LOAD, 0, 0, offset)
    }

    /// How many instructions there are.
    pub(super) fn len(&self) -> usize {
        self.reversed.len()
    }

    /// The program from its start, which is the instruction placed last.
    pub(super) fn finish(mut self) -> Vec<Instruction> {
        self.reversed.reverse();
        self.reversed
    }
}
