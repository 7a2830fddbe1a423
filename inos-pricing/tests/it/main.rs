//! The integration tests of inos-pricing, one binary.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail the test, as the tests themselves may (see clippy.toml)"
)]

extern crate alloc;

mod allocate;
mod bignum;
mod budget;
mod differential;
mod golden_state;
mod prices;
mod retries;
mod rules;
