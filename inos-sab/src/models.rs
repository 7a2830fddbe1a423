//! Exhaustive models of the protocols: every interleaving and every value a weak memory may show, on tiny regions.
//!
//! `RUSTFLAGS="--cfg inos_loom" cargo test --release -p inos-sab --lib`. The memory of these builds reports any two
//! accesses to payload bytes that are not ordered, and a lost wake-up is a deadlock. Without any of the orderings, fences
//! and second looks a model must fail: `mutants`.

mod arena;
mod die;
mod mutants;
mod ring;

use crate::{Layout, Region, Threads};

/// Rings of 64 bytes, four frames of up to eight bytes; one or two chunks of two granules.
fn region(arena_bytes: u32) -> Region<Threads> {
    let layout = Layout::compact(64, arena_bytes, 512).expect("a legal layout");
    // The second frame of 16 bytes goes over the end of the position's range, too.
    Region::heap(&layout.with_start(u64::MAX - 31)).expect("memory")
}

fn model(preemptions: usize, f: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    // A recovery alone passes some hundred points at which threads may change.
    builder.max_branches = 10_000;
    builder.check(f);
}
