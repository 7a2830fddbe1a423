//! A deterministic simulator: seeded networks, disks and clocks, groups on top of them, and checks of what members do and
//! of what clients are told.
//!
//! Everything is drawn from a seed and nothing else: no clock is read, no thread started, no float computed, no map with
//! an order of its own iterated. So a seed gives the same run, and the same [`Report::trace`], on every target.
//!
//! - [`run`], [`run_logged`]: one seed of a mode. [`Report`], [`Coverage`], [`Violation`]: what came of it.
//! - [`failover_us`]: how long a group is without a primary. [`fast_loses_a_write`]: what `Fast` does not promise.
//! - [`Rng`], [`Queue`], [`DriftingClock`]: chance, order and time.
//! - [`Network`], [`Weather`], [`Latency`]: what happens to frames. [`Disk`]: what happens to records.
//! - [`linear`]: a linearizability checker.
//!
//! The program `quorum-sim` runs many seeds.

mod branch;
mod check;
mod client;
mod clock;
mod disk;
mod fault;
mod force;
mod integrator;
mod latency;
pub mod linear;
mod machine;
mod network;
mod oracle;
mod plan;
mod queue;
mod report;
mod rng;
mod run;
mod trace;
mod watch;
mod world;

#[cfg(inos_bug)]
mod zoo;
#[cfg(inos_bug)]
pub use self::zoo::{bug_names, choose_bug};

pub use self::{
    clock::DriftingClock,
    disk::{Disk, Records},
    latency::Latency,
    network::{Network, Way, Weather},
    plan::Choice,
    queue::Queue,
    report::{Coverage, Report, Violation},
    rng::Rng,
    run::{failover_us, fast_loses_a_write, run, run_logged},
};
