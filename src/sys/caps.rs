//! Capabilities as bit masks, bit N being capability N of `capabilities(7)`.
#![expect(unsafe_code, reason = "capget(2), capset(2) and prctl(2) take raw structures")]

use rustix::io::{Errno, Result as SysResult};

use super::mount::last_errno;

/// The five sets of a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sets {
    /// What an exec can give at most.
    pub bounding: u64,
    /// What is in force.
    pub effective: u64,
    /// What can be put in force.
    pub permitted: u64,
    /// What survives an exec of a file that has it as inheritable.
    pub inheritable: u64,
    /// What survives any exec of a program that is not set-uid.
    pub ambient: u64,
}

/// `CAP_SYS_ADMIN`.
pub const SYS_ADMIN: u64 = 1 << 21;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const VERSION_3: u32 = 0x2008_0522;

/// Returns the effective, permitted and inheritable sets of this process (the others as zero).
pub fn get() -> SysResult<Sets> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let mut data = [Data::default(); 2];
    // SAFETY: version 3 reads one header and fills two data structures, which is what is passed.
    let done = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) };
    if done != 0 {
        return Err(last_errno());
    }
    let join = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    Ok(Sets {
        effective: join(data[0].effective, data[1].effective),
        permitted: join(data[0].permitted, data[1].permitted),
        inheritable: join(data[0].inheritable, data[1].inheritable),
        ..Sets::default()
    })
}

/// Sets effective, permitted and inheritable.
pub fn set(sets: &Sets) -> SysResult<()> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let half = |shift: u32| Data {
        effective: (sets.effective >> shift) as u32,
        permitted: (sets.permitted >> shift) as u32,
        inheritable: (sets.inheritable >> shift) as u32,
    };
    let data = [half(0), half(32)];
    // SAFETY: version 3 reads one header and two data structures, which is what is passed.
    let done = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, data.as_ptr()) };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

/// Returns the bounding set: what this process and those it executes can have at most.
pub fn bounding() -> u64 {
    let mut set = 0;
    for capability in 0..64u64 {
        // SAFETY: PR_CAPBSET_READ takes the number of a capability only.
        match unsafe { libc::prctl(libc::PR_CAPBSET_READ, capability, 0u64, 0u64, 0u64) } {
            0 => {}
            1 => set |= 1 << capability,
            _ => break, // past the last capability this kernel knows
        }
    }
    set
}

/// Drops every capability outside `keep` from the bounding set; must precede the loss of `CAP_SETPCAP`.
pub fn bound(keep: u64) -> SysResult<()> {
    for capability in 0..64u64 {
        if keep & (1 << capability) != 0 {
            continue;
        }
        match prctl(libc::PR_CAPBSET_DROP, capability, 0) {
            Err(Errno::INVAL) => break, // past the last capability this kernel knows
            done => done?,
        }
    }
    Ok(())
}

/// Empties the ambient set and raises `wanted` in it; each must be permitted and inheritable by then.
pub fn set_ambient(wanted: u64) -> SysResult<()> {
    prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as u64, 0)?;
    (0..64u64)
        .filter(|capability| wanted & (1 << capability) != 0)
        .try_for_each(|capability| prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE as u64, capability))
}

fn prctl(option: i32, second: u64, third: u64) -> SysResult<()> {
    // SAFETY: the options used here take integers only.
    let done = unsafe { libc::prctl(option, second, third, 0u64, 0u64) };
    if done < 0 { Err(last_errno()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_its_own_sets() {
        let sets = get().unwrap();
        assert_eq!(sets.effective & !sets.permitted, 0);
        assert_eq!(sets.permitted & !bounding(), 0);
        assert_ne!(bounding(), 0);
    }
}
