//! Goal: what was released is never lost, and nothing is released early. A ledger that opens after a crash, a damage or
//! a failure of its store is as after some number of whole commit groups, all released ones among them, or it says
//! `Corrupt`.
//!
//! Method: every damage to every byte of small journals (`matrix`); every operation on a simulated disk struck by a cut
//! of the power, a kill or a fault (`disk`, `faults`); real processes that are killed (`killed`); clients that retry
//! until they have an answer (`storm`). Each beside a ledger in memory that is called in the same way.
//!
//! `DURABLE_CASES`, a factor, makes all but the first longer; any value makes the first take no samples.

mod disk;
mod faults;
#[cfg(not(target_arch = "wasm32"))]
mod killed;
mod matrix;
mod openings;
mod storm;
mod traffic;
mod witness;

/// How many times as many cases as usual.
fn factor() -> Option<u64> {
    std::env::var("DURABLE_CASES").ok().and_then(|factor| factor.parse().ok())
}
