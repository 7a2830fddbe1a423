//! A global allocator that counts, while it is asked to.

use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::alloc::System;

/// The system's allocator, with a count of the bytes in use and of the calls that ask for memory.
pub(crate) struct Counting;

/// Off while time is measured: whoever allocates more should not pay for our counting.
static ON: AtomicBool = AtomicBool::new(false);
static TAKEN: AtomicU64 = AtomicU64::new(0);
static GIVEN_BACK: AtomicU64 = AtomicU64::new(0);
static CALLS: AtomicU64 = AtomicU64::new(0);

/// The counters are statistics: nothing is published through them, so Relaxed is enough.
fn take(bytes: usize) {
    if ON.load(Ordering::Relaxed) {
        TAKEN.fetch_add(bytes as u64, Ordering::Relaxed);
        CALLS.fetch_add(1, Ordering::Relaxed);
    }
}

fn give_back(bytes: usize) {
    if ON.load(Ordering::Relaxed) {
        GIVEN_BACK.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

// SAFETY:
// - every call is passed on to the system's allocator as it is, which keeps the contract;
// - counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY:
        // - the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY:
        // - the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        give_back(layout.size());
        // SAFETY:
        // - the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        take(new_size);
        give_back(layout.size());
        // SAFETY:
        // - the caller keeps the contract of `realloc`.
        unsafe { System.realloc(block, layout, new_size) }
    }
}

/// What a piece of work did to the memory of the process. Other threads count too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Count {
    /// Bytes asked for that are still in use.
    pub(crate) kept_bytes: u64,
    /// Calls that asked for memory.
    pub(crate) allocations: u64,
}

/// Runs `work` and counts. Memory from before that `work` gives back would be missing from `kept_bytes`, which is at
/// least 0.
pub(crate) fn count<T>(work: impl FnOnce() -> T) -> (T, Count) {
    for counter in [&TAKEN, &GIVEN_BACK, &CALLS] {
        counter.store(0, Ordering::Relaxed);
    }
    ON.store(true, Ordering::Relaxed);
    let result = work();
    ON.store(false, Ordering::Relaxed);
    let kept_bytes = TAKEN.load(Ordering::Relaxed).saturating_sub(GIVEN_BACK.load(Ordering::Relaxed));
    (result, Count { kept_bytes, allocations: CALLS.load(Ordering::Relaxed) })
}

#[cfg(test)]
mod tests {
    //! Other tests allocate at the same time, so only lower bounds are certain.

    use super::count;

    #[test]
    fn what_is_kept_is_counted() {
        let (kept, counted) = count(|| (0..100).map(|_| vec![0_u8; 10_000]).collect::<Vec<_>>());
        assert!(counted.kept_bytes >= 900_000, "{counted:?}");
        assert!(counted.allocations >= 100, "{counted:?}");
        drop(kept);
    }
}
