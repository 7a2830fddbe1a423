//! The integration tests of inos-alloc. Each module opens with its goal and method.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails as the test does: by panicking")]

extern crate alloc;

mod bookings;
mod choices;
mod counts;
mod demand;
mod differential;
mod failover;
mod hierarchy;
mod hostile;
mod ids;
mod invariants;
mod job;
mod massive;
mod moves;
mod outages;
mod pieces;
mod placement;
mod resize;
mod returns;
mod route;
mod router;
mod scenarios;
#[cfg(feature = "serde")]
mod serde;
mod support;
mod trust;
