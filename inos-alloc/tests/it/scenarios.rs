//! Goal: every scenario keeps its promises on a small mesh, and a seed gives the same run everywhere.
//! Method: each is run twice; figures and trace must be equal, and the trace the one written down here.

use core::time::Duration;
use inos_alloc::sim::{Options, Scenario, run};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn check(scenario: Scenario, nodes: u32, trace: u64) {
    let options = Options { nodes, ..Options::new(scenario) };
    let report = run(scenario, &options);
    assert_eq!(report.broken(), [""; 0], "{:#?}", report.figures);
    assert_eq!(report, run(scenario, &options));
    assert_eq!(report.trace, trace, "{:#018x}", report.trace);
    let other = run(scenario, &Options { seed: 2, ..options });
    assert_eq!(other.broken(), [""; 0]);
    assert_ne!(other.trace, trace);
}

#[test]
fn the_least_loaded_herd() {
    check(Scenario::Herd, 800, 0x48c4_6c05_a558_07d1);
}

#[test]
fn churn_loses_nothing() {
    check(Scenario::Churn, 240, 0x5fb5_3107_4dc3_0aae);
}

#[test]
fn a_zone_and_a_region_take_nothing_with_them() {
    check(Scenario::ZoneLoss, 240, 0x7ca6_e735_6e77_365c);
}

#[test]
fn a_crowd_comes_and_goes() {
    check(Scenario::FlashCrowd, 60, 0xefff_f3d9_b6ab_c630);
}

#[test]
fn liars_are_bounded() {
    check(Scenario::Liars, 200, 0x9e7f_1081_e5c2_3bc9);
}

#[test]
fn new_nodes_take_their_share() {
    check(Scenario::Rebalance, 48, 0xa57d_412d_d4e9_6ee6);
}

#[test]
fn many_nodes() {
    check(Scenario::Million, 5_000, 0x76f8_4368_6418_e4eb);
}

#[test]
fn every_region_has_everything() {
    check(Scenario::Hierarchy, 150, 0x8cd3_6bbd_bbdc_8482);
}

#[test]
fn what_cannot_be_run_does_not_hold() {
    for scenario in Scenario::ALL {
        assert_eq!(Scenario::from_name(scenario.name()), Some(scenario));
        let report = run(scenario, &Options { nodes: scenario.least_nodes() - 1, ..Options::new(scenario) });
        assert!(!report.holds() && report.figures.is_empty());
        let mut options = Options::new(scenario);
        options.reports.every = Duration::ZERO;
        assert!(!run(scenario, &options).holds());
    }
    assert_eq!(Scenario::from_name("herds"), None);
}
