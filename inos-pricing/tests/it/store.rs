//! Goal: every store keeps the laws of [`JournalStore`](inos_pricing::JournalStore). Method: one suite, over a place
//! where stores are opened one after the other, in memory, on a simulated disk, in a real directory and in a database;
//! a model beside each store knows what may be there after a crash. On the simulated disk every operation of a script
//! is struck in turn, by a cut of the power, a kill, and each fault.

#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod directory;
mod disk;
mod laws;
mod memory;
mod model;
#[cfg(all(feature = "redb", not(target_arch = "wasm32")))]
mod redb;
mod released;
