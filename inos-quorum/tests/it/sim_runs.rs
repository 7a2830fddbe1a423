//! Groups under seeded faults break no law, runs are repeatable on every target, and the simulator is able to find fault.
//!
//! Method: a few seeds of each mode (the program `quorum-sim` runs thousands); trace hashes of some seeds as constants;
//! a scripted run that `Fast` must not survive; times of failover.

use inos_quorum::sim::{Choice, Coverage, failover_us, fast_loses_a_write, linear::Verdict, run, run_logged};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Fewer on wasm32, where a second of them takes longer.
const SEEDS: u64 = if cfg!(target_arch = "wasm32") { 6 } else { 40 };

fn seeds_hold(choice: Choice) {
    let mut seen = [0; 13];
    let mut committed = 0;
    for seed in 0..SEEDS {
        let report = run(choice, seed);
        assert_eq!(report.outcome, Ok(()), "{} seed {seed}", choice.name());
        for (sum, (_, met)) in seen.iter_mut().zip(report.coverage.named()) {
            *sum += u64::from(met);
        }
        committed += report.committed;
    }
    assert!(committed > 100 * SEEDS, "{committed}");
    for ((name, _), count) in Coverage::default().named().into_iter().zip(seen) {
        let rare = SEEDS < 40 || !Coverage::is_possible(choice, name);
        assert!(rare || count > 0, "{}: no seed met: {name}", choice.name());
    }
}

#[test]
fn majority_holds() {
    seeds_hold(Choice::Majority);
}

#[test]
fn flex_holds() {
    seeds_hold(Choice::Flex);
}

#[test]
fn fast_safe_holds() {
    seeds_hold(Choice::FastSafe);
}

#[test]
fn fast_holds() {
    seeds_hold(Choice::Fast);
}

#[test]
fn fast_is_not_linearizable_and_the_checker_sees_it() {
    assert!(matches!(fast_loses_a_write(Choice::Fast), Verdict::Violated { .. }));
    // The same script in a mode that answers as fast, and is safe.
    assert!(matches!(fast_loses_a_write(Choice::FastSafe), Verdict::Linearizable { .. }));
}

#[test]
fn a_seed_is_a_run() {
    let (report, log) = run_logged(Choice::Flex, 7);
    assert_eq!(run_logged(Choice::Flex, 7), (report.clone(), log));
    // Nobody watches: nothing changes.
    assert_eq!(run(Choice::Flex, 7), report);
    assert_ne!(run(Choice::Flex, 8).trace, report.trace);
}

/// Whoever changes what members do, or what a run is made of, changes these numbers; they are the same on all targets.
#[test]
fn traces_are_the_same_on_every_target() {
    let traces = Choice::ALL.map(|choice| [1, 2].map(|seed| run(choice, seed).trace));
    let known = [
        [0xd33f_fb4b_8781_d926, 0x49c7_4bd3_a88d_a17c],
        [0x560c_0b6a_cd40_ac96, 0x183e_abcc_64b1_fdcd],
        [0x0bbb_a27a_d489_dc46, 0x4c74_a1db_ebee_4dd2],
        [0x03c0_d331_4746_d855, 0xee56_c903_8477_c264],
    ];
    assert_eq!(traces, known, "{traces:#x?}");
}

#[test]
fn failover_takes_less_than_two_seconds() {
    let mut outages_us: Vec<u64> =
        (0..SEEDS).map(|seed| failover_us(Choice::Majority, seed).expect("a commit within ten seconds")).collect();
    outages_us.sort_unstable();
    assert!(outages_us[outages_us.len() - 1] <= 2_000_000);
}
