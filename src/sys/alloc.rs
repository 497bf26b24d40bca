//! The heap: dlmalloc instead of musl's allocator.
//!
//! A command lives for milliseconds and makes some ten thousand small allocations. musl's allocator starts with one
//! page at a time and gives each back as soon as it is empty, which costs hundreds of system calls and page faults
//! a command; dlmalloc takes few large pieces, merges what is freed, and so keeps the heap of a supervisor small too.
#![expect(unsafe_code, reason = "a global allocator hands out raw memory")]

use std::alloc::{GlobalAlloc, Layout};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use dlmalloc::Dlmalloc;

#[global_allocator]
static HEAP: Heap = Heap(Mutex::new(Dlmalloc::new_with_allocator(Pages { mapped: AtomicUsize::new(0) })));

/// The heap gets its first pages from the kernel at once, not by a fault for each.
const PREFAULTED: usize = 512 << 10;
/// By pieces of this size.
const PIECE: usize = 128 << 10;

struct Heap(Mutex<Dlmalloc<Pages>>);

impl Heap {
    /// A process that forks has one thread, so no lock is ever held across a fork.
    fn with<T>(&self, work: impl FnOnce(&mut Dlmalloc<Pages>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

// SAFETY: all memory comes from one dlmalloc behind a lock, which upholds the contract of GlobalAlloc: blocks that
// do not overlap, of the size and alignment asked for, zeroed by `calloc`; nothing in here unwinds or allocates.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: any size and alignment of a layout is fine for malloc.
        self.with(|heap| unsafe { heap.malloc(layout.size(), layout.align()) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller got the block here, with this layout.
        self.with(|heap| unsafe { heap.free(block, layout.size(), layout.align()) });
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as for `alloc`.
        self.with(|heap| unsafe { heap.calloc(layout.size(), layout.align()) })
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller got the block here, with this layout.
        self.with(|heap| unsafe { heap.realloc(block, layout.size(), layout.align(), size) })
    }
}

/// Gives free memory back to the kernel.
pub fn trim() {
    // SAFETY: trimming frees only what no block uses.
    HEAP.with(|heap| unsafe { heap.trim(0) });
}

/// Runs something that allocates nothing while no other thread is in the heap: for the forks of tests, which have
/// threads, and whose child would wait for ever for a lock that nobody holds in it.
#[cfg(test)]
pub(super) fn held_still<T>(work: impl FnOnce() -> T) -> T {
    HEAP.with(|_| work())
}

/// Where dlmalloc gets its memory.
struct Pages {
    mapped: AtomicUsize,
}

// SAFETY: the regions come from mmap: page-aligned, zeroed, used by nobody else; remapping and unmapping are only
// asked for regions that were given, and answer failure as the trait says.
unsafe impl dlmalloc::Allocator for Pages {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        let early = size <= PIECE && self.mapped.load(Ordering::Relaxed) < PREFAULTED;
        let size = if early { PIECE } else { size };
        let flags = libc::MAP_ANONYMOUS | libc::MAP_PRIVATE | if early { libc::MAP_POPULATE } else { 0 };
        // SAFETY: a new private mapping at a place of the kernel's choice changes no memory in use.
        let region =
            unsafe { libc::mmap(ptr::null_mut(), size, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        if region == libc::MAP_FAILED {
            return (ptr::null_mut(), 0, 0);
        }
        self.mapped.fetch_add(size, Ordering::Relaxed);
        (region.cast(), size, 0)
    }

    fn remap(&self, region: *mut u8, old: usize, new: usize, can_move: bool) -> *mut u8 {
        let flags = if can_move { libc::MREMAP_MAYMOVE } else { 0 };
        // SAFETY: the region is one that `alloc` gave, with this size.
        let moved = unsafe { libc::mremap(region.cast(), old, new, flags) };
        if moved == libc::MAP_FAILED { ptr::null_mut() } else { moved.cast() }
    }

    fn free_part(&self, region: *mut u8, old: usize, new: usize) -> bool {
        // SAFETY: the tail lies in a region that `alloc` gave and holds no block.
        unsafe { libc::munmap(region.add(new).cast(), old - new) == 0 }
    }

    fn free(&self, region: *mut u8, size: usize) -> bool {
        // SAFETY: the region is one that `alloc` gave and holds no block.
        unsafe { libc::munmap(region.cast(), size) == 0 }
    }

    fn can_release_part(&self, _: u32) -> bool {
        true
    }

    fn allocates_zeros(&self) -> bool {
        true
    }

    fn page_size(&self) -> usize {
        4096
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn blocks_of_many_sizes_and_threads_hold_what_was_written() {
        let work = |seed: usize| {
            let mut held: Vec<Vec<u8>> = Vec::new();
            for n in 0..2_000usize {
                let size = (n * 7_919 + seed * 31) % 70_000;
                held.push(vec![(n % 251) as u8; size]);
                if n % 3 == 0 {
                    let gone = held.swap_remove((n * 13) % held.len());
                    assert!(gone.windows(2).all(|pair| pair[0] == pair[1]));
                }
            }
            super::trim();
            assert!(held.iter().all(|block| block.iter().all(|byte| *byte == block[0])));
        };
        std::thread::scope(|scope| {
            for seed in 0..4 {
                scope.spawn(move || work(seed));
            }
        });
    }
}
