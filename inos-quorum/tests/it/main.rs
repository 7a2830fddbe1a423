//! Integration tests. Each module opens with its goal and method.

extern crate alloc;

mod catch_up;
mod checkpoints;
mod clock;
mod detector;
mod fast;
mod frames;
mod generations;
mod group;
mod handover;
mod limits;
mod linear;
mod members;
mod net;
mod orphans;
mod quorum;
mod recovery;
mod resolutions;
mod sessions;
mod silence;
#[cfg(feature = "sim")]
mod sim_runs;
mod versioned;
