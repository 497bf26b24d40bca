//! The kernel's classic BPF machine, for tests.

use crate::sys::bpf::Instruction;

/// Runs a filter on one call; gives the action and how many instructions that took.
pub(super) fn run(program: &[Instruction], arch: u32, number: u32, args: [u64; 6]) -> (u32, usize) {
    let mut data = Vec::new();
    data.extend_from_slice(&number.to_ne_bytes());
    data.extend_from_slice(&arch.to_ne_bytes());
    data.extend_from_slice(&0u64.to_ne_bytes());
    args.iter().for_each(|arg| data.extend_from_slice(&arg.to_ne_bytes()));
    let (mut at, mut a, mut steps) = (0usize, 0u32, 0);
    loop {
        let i = program[at];
        steps += 1;
        at += 1;
        let jump = |yes: bool| usize::from(if yes { i.jt } else { i.jf });
        match i.code {
            0x20 => a = u32::from_ne_bytes(data[i.k as usize..][..4].try_into().unwrap()),
            0x54 => a &= i.k,
            0x05 => at += i.k as usize,
            0x15 => at += jump(a == i.k),
            0x25 => at += jump(a > i.k),
            0x35 => at += jump(a >= i.k),
            0x06 => return (i.k, steps),
            code => panic!("instruction {code:#x} is not one that we use"),
        }
    }
}
