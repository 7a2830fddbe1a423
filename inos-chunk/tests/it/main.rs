//! The tests of inos-chunk as a user sees it: one module per question, each opening with its goal and method.

#![expect(clippy::unwrap_used, reason = "clippy.toml allows it in tests, but does not see that helpers belong to them")]
#![expect(clippy::cast_possible_truncation, reason = "the numbers are the tests' own and small")]

extern crate alloc;

mod common;

mod corruption;
mod erasure;
mod geometry;
mod golden;
mod layout;
mod losses;
mod manifest;
mod pages;
#[cfg(all(feature = "parallel", not(target_arch = "wasm32")))]
mod parallel;
mod piece;
mod repair;
mod roundtrip;
#[cfg(feature = "serde")]
mod serial;
mod streaming;
