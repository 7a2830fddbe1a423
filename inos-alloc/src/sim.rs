//! A deterministic simulator: nodes that fail, return, lie and report late, and what comes of the decisions made on it.
//!
//! The simulator keeps what is true: what each node holds, how loaded it is, which transfers are under way. The
//! allocator sees reports, which come late and may be lost. Each [`Scenario`] says what it promises, and a [`Report`] says
//! whether that held, with the figures behind it.
//!
//! Everything is drawn from a seed and nothing else: no float is computed and no clock decides. So a seed gives the same
//! run, and the same [`Report::trace`], on every target. [`Report::speeds`] alone come from the clock of the caller.
//!
//! ```
//! use inos_alloc::sim::{Options, Scenario, run};
//!
//! let options = Options { nodes: 48, ..Options::new(Scenario::Rebalance) };
//! let report = run(Scenario::Rebalance, &options);
//! assert!(report.holds(), "{:?}", report.broken());
//! assert_eq!(report.trace, run(Scenario::Rebalance, &options).trace);
//! // What a scenario needs is checked before it runs: with 5 nodes there is nothing to level.
//! assert!(!run(Scenario::Rebalance, &Options { nodes: 5, ..options }).holds());
//! ```
//!
//! The program `alloc-sim` runs all of them. `docs/simulation.md` has the figures.

mod churn;
mod disks;
mod flash_crowd;
mod herd;
mod hierarchy;
mod ledger;
mod liars;
mod million;
mod queue;
mod rebalance;
mod report;
mod rng;
mod scenario;
mod world;
mod zone_loss;

pub use self::{
    queue::Queue,
    report::{Figure, Promise, Report},
    rng::Rng,
    scenario::{Clock, Options, ReportLine, Scenario, run},
};

/// A length as a figure.
fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// An index from a number that fits it.
fn narrow(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
