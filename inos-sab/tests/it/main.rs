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

use inos_sab::{Layout, Region, Threads};

/// 1 KiB rings, 64 KiB of arena in chunks of 4 KiB.
fn small() -> Region<Threads> {
    region(Layout::compact(1 << 10, 1 << 16, 1 << 12).expect("a legal layout"))
}

fn region(layout: Layout) -> Region<Threads> {
    Region::heap(&layout).expect("memory")
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
