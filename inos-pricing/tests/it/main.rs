//! The integration tests of inos-pricing, one binary.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its own functions too")]

extern crate alloc;

mod allocate;
mod bignum;
mod budget;
mod differential;
mod durable;
mod golden_state;
mod hostile;
mod meter;
mod prices;
mod retries;
mod rules;
#[cfg(feature = "serde")]
mod serde;
mod store;
