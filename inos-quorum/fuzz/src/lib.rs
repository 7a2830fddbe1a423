//! A small group for the fuzzers, and what must hold after every step of theirs.

mod counting;
mod machine;
mod world;

pub use self::{
    counting::{Counting, peak_of},
    machine::Tally,
    world::{FOUNDERS, MAX_STEP_BYTES, Member, World, config, mend},
};
