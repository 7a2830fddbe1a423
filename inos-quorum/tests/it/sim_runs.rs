//! Goal: a group in `Majority` mode keeps its promises under faults, and recovers from the loss of its primary.
//! Method: many seeded runs of the simulator in `sim`, whose invariants are checked after every step; a failing run
//! names its seed, and `World::run_chaos(seed)` repeats it exactly. A run that meets none of the situations it is meant
//! to survive proves nothing, so they are counted.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use core::time::Duration;

use inos_quorum::OpId;

use crate::sim::{Seen, Weather, World, config};

/// Trace of `World::run_chaos(GOLDEN_SEED)`, taken on x86-64 Linux. It changes with every change of the protocol, of
/// the frame format or of the simulator; it must not change with the target.
const GOLDEN_SEED: u64 = 42;
const GOLDEN_TRACE: u64 = 0xc22b_683a_afd0_4010;

/// Counting copies of an older epoch's entry as committed shows first at seed 765. Rarer defects have scripted stories
/// in `group` and `recovery`.
const SEEDS: u64 = if cfg!(target_arch = "wasm32") { 200 } else { 1000 };

#[test]
fn chaos_breaks_no_promise() {
    let mut total = Seen::default();
    let mut reached = [0; 7];
    for seed in 0..SEEDS {
        let seen = World::run_chaos(seed).seen;
        let situations = [
            seen.epochs_without,
            seen.lost_records,
            seen.truncations,
            seen.unknown,
            seen.repeats_answered,
            seen.local_only,
            seen.reads,
        ];
        for (count, situation) in reached.iter_mut().zip(situations) {
            *count += u64::from(situation > 0);
        }
        total.committed += seen.committed;
        total.steps += seen.steps;
        total.epochs_with_primary += seen.epochs_with_primary;
    }
    println!(
        "{SEEDS} seeds, {} steps, {} primaries, {} commits",
        total.steps, total.epochs_with_primary, total.committed
    );
    let names =
        ["election without a winner", "lost records", "truncation", "unknown", "repeat", "local only", "linear read"];
    for (name, count) in names.iter().zip(reached) {
        println!("  {name}: {count} seeds");
        assert!(count * 100 >= SEEDS, "only {count} of {SEEDS} seeds met: {name}");
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let first = World::run_chaos(GOLDEN_SEED).trace;
    assert_eq!(first, World::run_chaos(GOLDEN_SEED).trace);
    assert_ne!(first, World::run_chaos(GOLDEN_SEED + 1).trace);
    assert_eq!(first, GOLDEN_TRACE, "{first:#018x} is the trace now");
}

#[test]
fn a_dead_primary_is_replaced_within_two_seconds() {
    let mut outages = Vec::new();
    for seed in 0..300 {
        let mut world = World::new(seed, if seed % 2 == 0 { 5 } else { 7 }, config(1000), Weather::LAN);
        assert!(world.run_until(Duration::from_secs(3), |world| world.primary().is_some()), "seed {seed}: no primary");
        // Writes before the death, at a moment that differs from seed to seed.
        world.run_for(Duration::from_millis(200 + seed * 7 % 130));
        let primary = world.primary().expect("elected above");
        let before = OpId { client: 1, serial: 1 };
        assert!(world.write(primary, before, 0));
        world.run_for(Duration::from_millis(20));
        assert_eq!(world.last_ack.map(|(_, id)| id), Some(before));

        world.crash(primary);
        let died = world.now;
        let after = OpId { client: 1, serial: 2 };
        assert!(
            world.run_until(Duration::from_secs(10), |world| world.primary().is_some()),
            "seed {seed}: no successor"
        );
        let successor = world.primary().expect("elected above");
        assert!(world.write(successor, after, 0), "seed {seed}");
        let done = |world: &World| world.last_ack.is_some_and(|(_, id)| id == after);
        assert!(world.run_until(Duration::from_secs(5), done), "seed {seed}: no commit");
        assert_eq!(world.history.len(), 2, "seed {seed}: the write before the death is there, and the one after");
        outages.push(world.last_ack.expect("just committed").0 - died);
    }
    outages.sort_unstable();
    let [p50, p99, worst] = [149, 296, 299].map(|index| outages[index]);
    println!("death of the primary to the first commit, 300 seeds: p50 {p50:?}, p99 {p99:?}, worst {worst:?}");
    assert!(p99 <= Duration::from_secs(2), "p99 {p99:?}");
}
