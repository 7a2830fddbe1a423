//! A deterministic simulator: seeded networks, disks and clocks, and checks of what clients saw.
//!
//! Everything is drawn from a seed and nothing else: no clock is read, no thread started, no float computed, no map with
//! an order of its own iterated. So a seed gives the same run on every target.
//!
//! - [`Rng`], [`Queue`], [`DriftingClock`]: chance, order and time.
//! - [`Network`], [`Weather`], [`Latency`]: what happens to frames. [`Disk`]: what happens to records.
//! - [`linear`]: a linearizability checker.

mod clock;
mod disk;
mod latency;
pub mod linear;
mod network;
mod queue;
mod rng;

pub use self::{
    clock::DriftingClock,
    disk::{Disk, Records},
    latency::Latency,
    network::{Network, Way, Weather},
    queue::Queue,
    rng::Rng,
};
