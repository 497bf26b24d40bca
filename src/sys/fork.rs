//! `fork` without exec: how a command leaves a small process of itself behind.
#![expect(unsafe_code, reason = "fork and closing descriptors by number have no safe wrapper")]

use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::process::Pid;

use crate::base::error::{Context, Result};
use crate::base::fs;

/// Forks; `None` in the child. The process must have one thread only: another one's locks (the allocator's too)
/// would stay held for ever in the child.
pub fn fork() -> Result<Option<Pid>> {
    // SAFETY: the callers are single-threaded (stated above), so the child may go on running any code; it ends
    // by `process::exit_now` or exec and never returns into frames that would release the parent's resources twice.
    let pid = unsafe { libc::fork() };
    if pid < 0 {
        return Err(std::io::Error::last_os_error()).context("fork");
    }
    Ok(Pid::from_raw(pid))
}

/// Leaves the caller's session: own session, `/` as working directory, and standard streams on `/dev/null`.
pub fn detach() -> Result<()> {
    rustix::process::setsid().context("start a session")?;
    rustix::process::chdir("/").context("change to `/`")?;
    let null = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .context("open `/dev/null`")?;
    rustix::stdio::dup2_stdin(&null).context("replace standard input")?;
    rustix::stdio::dup2_stdout(&null).context("replace standard output")?;
    rustix::stdio::dup2_stderr(&null).context("replace standard error")
}

/// Gives the pages of the stack below this frame back to the kernel: what deep calls of the past have touched.
///
/// A process that lives for days should not hold what parsing its command line once needed.
#[inline(never)]
pub fn trim_stack() {
    const MARGIN: usize = 32 << 10;
    const DEPTH: usize = 2 << 20;
    let here = 0u8;
    let page = rustix::param::page_size();
    let top = ((&raw const here) as usize - MARGIN) & !(page - 1);
    // SAFETY: the range lies below every live frame and its red zone (MARGIN is far larger than what this call
    // needs), on the main thread's stack, which grows down; dropped pages come back as zeroes when touched.
    // Where part of the range was never mapped madvise gives ENOMEM after doing the mapped part.
    unsafe { libc::madvise((top - DEPTH) as *mut libc::c_void, DEPTH, libc::MADV_DONTNEED) };
}

/// Gives back what a process that only waits does not need: free heap, the stack of the past, and its own code, which
/// comes back from the page cache as far as it is ever needed again.
pub fn slim_down() {
    trim_stack();
    super::alloc::trim();
    drop_code();
}

fn drop_code() {
    let Ok(maps) = fs::read_to_string(Path::new("/proc/self/maps")) else { return };
    let mappings: Vec<Mapping<'_>> = maps.lines().filter_map(Mapping::parse).collect();
    let here = drop_code as fn() as usize;
    let Some(own) = mappings.iter().find(|one| one.start <= here && here < one.end) else { return };
    for one in mappings.iter().filter(|one| one.file == own.file && !one.writable) {
        // SAFETY: the whole of a private mapping of this program's file that nobody can write, nor could before:
        // a static program of musl protects nothing after relocating it. So the file has the same bytes.
        unsafe { libc::madvise(one.start as *mut libc::c_void, one.end - one.start, libc::MADV_DONTNEED) };
    }
}

/// A line of `/proc/self/maps`.
struct Mapping<'a> {
    start: usize,
    end: usize,
    writable: bool,
    /// Device and inode.
    file: (&'a str, &'a str),
}

impl<'a> Mapping<'a> {
    fn parse(line: &'a str) -> Option<Mapping<'a>> {
        let mut words = line.split_ascii_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let rights = words.next()?;
        let file = (words.nth(1)?, words.next()?);
        let number = |text| usize::from_str_radix(text, 16).ok();
        Some(Mapping { start: number(start)?, end: number(end)?, writable: rights.contains('w'), file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_is_read() {
        let line = "00400000-0045a000 r-xp 00001000 fe:00 1234   /usr/bin/dhow";
        let read = Mapping::parse(line).unwrap();
        assert_eq!((read.start, read.end, read.writable), (0x40_0000, 0x45_a000, false));
        assert_eq!(read.file, ("fe:00", "1234"));
        assert!(Mapping::parse("").is_none());
    }

    #[test]
    fn a_process_goes_on_after_it_slimmed_down() {
        let text = format!("{:?}", std::env::args().collect::<Vec<_>>());
        drop_code();
        assert_eq!(text, format!("{:?}", std::env::args().collect::<Vec<_>>()));
    }
}
