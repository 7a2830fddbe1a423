//! Goal: wherever a process dies, whoever lives goes on with a whole region.
//!
//! Method: children of this program attach to a region and work; they are killed in front of each of their accesses to
//! shared memory in turn (feature `fail-points`), or at random moments from outside. After each death the parent
//! recovers, checks what the dead one left, exchanges 10,000 messages, and must find the arena empty and in one piece.
//!
//! `cargo test --release -p inos-sab --features fail-points --test kill -- --nocapture` prints the totals.

#![cfg(target_os = "linux")]

mod births;
mod crew;
mod enumerated;
mod jobs;
mod random;
mod recoverers;

/// The name of the test below, from the root of the program.
const CHILD: &str = "child";

/// Kills at random moments, of writers and of readers each.
const RANDOM_KILLS: u32 = 120;

/// Does what the environment asks for; as a test of its own it does nothing.
#[test]
fn child() {
    crew::child(|step| {
        if let Some(step) = step {
            inos_sab::fail_points::arm(step);
        }
    });
}
