//! The one integration binary. Everything here goes through the public interface.

extern crate alloc;

mod arena;
mod copies;
mod hostile;
mod jobs;
mod layout;
mod model;
#[cfg(not(target_arch = "wasm32"))]
mod orderings;
mod predecessor;
#[cfg(target_os = "linux")]
mod processes;
mod region;
mod ring;
mod switchboard;
#[cfg(not(target_arch = "wasm32"))]
mod threads;

#[cfg(target_os = "linux")]
use inos_sab::{Crash, RegionError};
use inos_sab::{Layout, Region, Threads};
#[cfg(target_os = "linux")]
use std::os::fd::{AsFd, OwnedFd};

/// 1 KiB rings, 64 KiB of arena in chunks of 4 KiB.
fn small() -> Region<Threads> {
    region(Layout::compact(1 << 10, 1 << 16, 1 << 12).expect("a legal layout"))
}

fn region(layout: Layout) -> Region<Threads> {
    Region::heap(&layout).expect("memory")
}

/// A memory file, and a region in it.
#[cfg(target_os = "linux")]
fn memory_file(layout: &Layout) -> Region<Crash> {
    // SAFETY:
    // - what the tests write to the file past its regions is what a participant of this crate may leave there;
    // - no process of the tests forks without `exec`.
    unsafe { Region::<Crash>::create_memfd(c"test", layout) }.expect("a region")
}

/// One more attachment to the region behind `file`.
#[cfg(target_os = "linux")]
fn attached(file: impl AsFd, layout: &Layout) -> Result<Region<Crash>, RegionError> {
    // SAFETY:
    // - as above, also of what was written before: files of the tests hold zeros or a region;
    // - who cuts a file short has dropped its regions.
    unsafe { Region::<Crash>::attach_fd(again(file), layout) }
}

#[cfg(target_os = "linux")]
fn again(file: impl AsFd) -> OwnedFd {
    file.as_fd().try_clone_to_owned().expect("a descriptor")
}

/// A fixed sequence of numbers (Steele, Lea, Flood 2014: SplitMix64).
fn numbers(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}
