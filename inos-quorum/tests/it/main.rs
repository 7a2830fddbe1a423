//! Integration tests. Each module opens with its goal and method.

extern crate alloc;

mod clock;
mod detector;
mod fast;
mod frames;
mod generations;
mod group;
mod limits;
mod linear;
mod members;
mod net;
mod quorum;
mod recovery;
mod silence;
#[cfg(feature = "sim")]
mod sim_runs;
mod versioned;
