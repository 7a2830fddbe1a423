//! Goal: counts, schemes and job sizes are those of docs/policy.md on every target. Method: a golden table made by a
//! separate program in exact fractions (golden/replica_target.py), rows checked by hand, and both sides of each threshold.

use crate::support::{GIB, MIB, blob};
use inos_alloc::{
    Ceiling, Class, Demand, Resolution, ResourceSpec, Scheme, Temperature, Tiers, nodes_for_job, replica_target, scheme,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

fn want(size: u64, demand: u16, budget: u64, ceiling: Ceiling) -> u32 {
    let spec = ResourceSpec { demand: Demand::new(demand).unwrap(), budget, ..blob(size) };
    replica_target(&spec, &Tiers::default().with_ceiling(ceiling)).want
}

#[test]
fn golden_table() {
    let table = include_str!("golden/replica_target.csv");
    let mut rows = 0;
    for line in table.lines().skip(1) {
        let row: Vec<u64> = line.split(',').map(|field| field.parse().unwrap()).collect();
        let &[size, demand, budget, tier, global] = row.as_slice() else { panic!("five fields: {line}") };
        let demand = u16::try_from(demand).unwrap();
        assert_eq!(u64::from(want(size, demand, budget, Ceiling::Tier)), tier, "{line}");
        assert_eq!(u64::from(want(size, demand, budget, Ceiling::Global)), global, "{line}");
        rows += 1;
    }
    assert_eq!(rows, 12 * 11 * 8);
}

#[test]
fn rows_by_hand() {
    // 1 KiB, nobody asks, no credits: 5 x 1.0 x 0.5 = 2, raised to the floor.
    assert_eq!(want(1024, 0, 0, Ceiling::Tier), 5);
    // 1 GB (decimal), standard budget: 100.
    assert_eq!(want(1_000_000_000, 0, 100, Ceiling::Tier), 100);
    // 5 MB, full demand, premium: 10 x 2.0 x 1.3 = 26, the tier allows 20.
    assert_eq!(want(5_000_000, 1000, 1_000, Ceiling::Tier), 20);
    assert_eq!(want(5_000_000, 1000, 1_000, Ceiling::Global), 26);
    // 100 GB, full demand, enterprise: 500 x 2.0 x 1.5 = 1500, at most 700.
    assert_eq!(want(100_000_000_000, 1000, 10_000, Ceiling::Tier), 700);
    assert_eq!(want(100_000_000_000, 1000, 10_000, Ceiling::Global), 700);
    // Truncation: 5 x 1.3 = 6.5; 10 x 1.999 x 1.3 = 25.987.
    assert_eq!(want(1, 0, 1_000, Ceiling::Tier), 6);
    assert_eq!(want(MIB, 999, 1_000, Ceiling::Global), 25);
}

fn of_class(class: Class, demand: u16) -> (u32, u32) {
    let spec =
        ResourceSpec { class, demand: Demand::new(demand).unwrap(), size: u64::MAX, budget: u64::MAX, ..blob(0) };
    let target = replica_target(&spec, &Tiers::default());
    assert!(target.floor <= target.want && target.want <= target.ceiling);
    (target.want, target.floor)
}

#[test]
fn other_classes_ignore_size_and_budget() {
    let storage = |temperature| Class::Storage { temperature };
    assert_eq!(of_class(storage(Temperature::Hot), 0), (7, 7));
    assert_eq!(of_class(storage(Temperature::Warm), 1000), (5, 5));
    assert_eq!(of_class(storage(Temperature::Cold), 1000), (3, 3));
    assert_eq!(of_class(Class::Stream { fps: 60, bandwidth_kb_s: 500 }, 1000), (5, 5));
    let state = |updates_per_second| Class::State { updates_per_second, resolution: Resolution::Crdt };
    assert_eq!(of_class(state(30), 0), (7, 7));
    assert_eq!(of_class(state(31), 0), (5, 5));
    let compute: Vec<u32> = [0, 499, 500, 999, 1000].map(|demand| of_class(Class::Compute, demand).0).into();
    assert_eq!(compute, [5, 5, 6, 6, 7]);
    let group: Vec<u32> = [0, 249, 250, 500, 750, 999, 1000].map(|demand| of_class(Class::Group, demand).0).into();
    assert_eq!(group, [3, 3, 4, 5, 6, 6, 7]);
}

#[test]
fn scheme_thresholds() {
    let (chunks, stripes) = (Scheme::Chunks { copies: 5 }, Scheme::Stripes { data: 100, parity: 20 });
    let expected = [
        (0, Scheme::Copies),
        (MIB - 1, Scheme::Copies),
        (MIB, chunks),
        (100 * MIB - 1, chunks),
        (100 * MIB, stripes),
        (10 * GIB, stripes),
        (10 * GIB + 1, Scheme::Hierarchy),
        (u64::MAX, Scheme::Hierarchy),
    ];
    for (size, expected) in expected {
        assert_eq!(scheme(size), expected, "{size}");
    }
}

#[test]
fn narrow_stripes_are_the_largest_that_fit() {
    let full = Scheme::Stripes { data: 100, parity: 20 };
    for nodes in 0..=130u32 {
        let largest = (1..=100u32).rev().find(|data| data + data.div_ceil(5) <= nodes).unwrap_or(1);
        let expected = Scheme::Stripes { data: largest, parity: largest.div_ceil(5) };
        assert_eq!(full.for_nodes(nodes), expected, "{nodes} nodes");
    }
    assert_eq!(Scheme::Copies.for_nodes(1), Scheme::Copies);
}

#[test]
fn job_thresholds() {
    let expected = [(0, 1), (10 * MIB - 1, 1), (10 * MIB, 5), (100 * MIB - 1, 5), (100 * MIB, 20), (GIB - 1, 20)];
    for (size, nodes) in expected {
        assert_eq!(nodes_for_job(size), nodes, "{size}");
    }
    assert_eq!(nodes_for_job(GIB), 50);
    assert_eq!(nodes_for_job(u64::MAX), 50);
}
