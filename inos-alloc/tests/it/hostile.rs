//! Goal: no number and no order of calls makes the allocator panic or promise what is not there. Method: the ends of every
//! range, handles that name nothing, and an empty mesh.

use crate::support::{MIB, T0, blob, load_report, mesh, node};
use core::time::Duration;
use inos_alloc::{
    AllocateError, Allocator, BudgetStep, Capacity, Class, Config, Demand, NodeRef, Policy, ReportError, Requirements,
    ResourceSpec, Tier, Tiers, replica_target,
};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

const NOBODY: NodeRef = NodeRef { index: u32::MAX, generation: u32::MAX };

#[test]
fn an_empty_mesh() {
    let mut mesh = Allocator::<u32, u64>::new(Config::default());
    let refused = mesh.allocate(1, &blob(1), &Policy::default(), T0);
    assert_eq!(refused, Err(AllocateError::NoUsableNode { want: 5, healthy: 0 }));
    assert_eq!(mesh.usable(&Requirements::default()), 0);
    assert!(mesh.nodes_failed(&[NOBODY, NOBODY], Duration::MAX).repairs.is_empty());
    assert_eq!(mesh.report(NOBODY, load_report(1, 0), T0), Err(ReportError::UnknownNode));
    assert_eq!((mesh.load(NOBODY), mesh.resources_on(NOBODY).count()), (None, 0));
}

#[test]
fn nodes_without_capacity_take_only_what_weighs_nothing() {
    let mut mesh = Allocator::<u32, u64>::new(Config::default());
    for id in 0..10 {
        mesh.upsert(inos_alloc::NodeSpec { capacity: Capacity::default(), ..node(id, 0, 0, 0) });
    }
    assert!(mesh.allocate(1, &blob(1), &Policy::default(), T0).is_err());
    assert_eq!(mesh.allocate(1, &blob(0), &Policy::default(), T0).unwrap().granted, 5);
    assert_eq!(mesh.place_chunks(&1, 3, 3, &Policy::default(), T0).unwrap().holders.len(), 9);
}

#[test]
fn sizes_and_capacities_at_their_ends() {
    let (mut mesh, nodes) = mesh(700, u64::MAX);
    let largest = ResourceSpec { size: u64::MAX, demand: Demand::FULL, budget: u64::MAX, ..blob(0) };
    let placed = mesh.allocate(1, &largest, &Policy::default(), Duration::MAX).unwrap();
    // Nobody has room to be one of seven seeds; a hub of 100 has.
    assert_eq!((placed.want, placed.granted), (607, 600));
    let striped = ResourceSpec { size: 10 << 30, ..largest };
    assert_eq!(mesh.allocate(2, &striped, &Policy::default(), Duration::MAX).unwrap().granted, 700);
    let _ = mesh.place_stripe(&2, u32::MAX, 100, 20, &Policy::default(), Duration::MAX).unwrap();
    let plan = mesh.nodes_failed(&nodes, Duration::MAX);
    assert!(plan.repairs.len() == 2 && plan.repairs.iter().all(|repair| repair.granted == 0));
    assert_eq!((mesh.placement(&1).or(mesh.placement(&2)), mesh.healthy_count()), (None, 0));
    let whole = ResourceSpec { class: Class::Group, ..largest };
    assert!(mesh.allocate(1, &whole, &Policy::default(), T0).is_err());
}

#[test]
fn whole_copies_of_the_largest_size() {
    let (mut mesh, _) = mesh(7, u64::MAX);
    let whole = ResourceSpec { class: Class::Group, size: u64::MAX / 2, ..blob(0) };
    // Exactly half: not below half load, so over target.
    let placed = mesh.allocate(1, &whole, &Policy::default(), T0).unwrap();
    assert_eq!((placed.granted, placed.over_target), (3, 3));
    let requires = Requirements { memory_mb: u64::MAX, ..Requirements::default() };
    assert!(mesh.allocate(2, &ResourceSpec { requires, ..blob(1) }, &Policy::default(), T0).is_err());
    let stream = Class::Stream { fps: u32::MAX, bandwidth_kb_s: u64::MAX };
    let near = Policy { near: Some(inos_alloc::RegionId(9)), ..Policy::default() };
    assert!(mesh.allocate(2, &ResourceSpec { class: stream, ..blob(1) }, &near, T0).is_err());
}

#[test]
fn a_table_that_makes_no_sense_still_answers() {
    let tier = Tier { size_below: 0, base: u32::MAX, ceiling: 0 };
    let step = BudgetStep { budget_below: 0, multiplier_permille: u32::MAX };
    let tiers = Tiers { tiers: [tier; 6], budgets: [step; 4], floor: 9, ..Tiers::default() };
    let target = replica_target(&ResourceSpec { demand: Demand::FULL, ..blob(5) }, &tiers);
    assert_eq!((target.want, target.floor, target.ceiling), (9, 9, 9));
    let none = Tiers { floor: 0, budgets: [BudgetStep { budget_below: 0, multiplier_permille: 0 }; 4], ..tiers };
    let (mut mesh, _) = mesh(3, MIB);
    let refused = mesh.allocate(1, &blob(5), &Policy { tiers: none, ..Policy::default() }, T0);
    assert_eq!(refused, Err(AllocateError::NoUsableNode { want: 0, healthy: 3 }));
}

#[test]
fn handles_of_the_past_reach_nothing() {
    let (mut mesh, nodes) = mesh(6, 1000 * MIB);
    let old = nodes[0];
    assert_eq!(mesh.node_failed(old, T0).failed, [old]);
    assert_eq!(mesh.node_failed(old, T0).failed, []);
    assert_eq!(mesh.report(old, load_report(1, 0), T0), Err(ReportError::UnknownNode));
    assert!(mesh.node(old).is_some() && !mesh.is_healthy(old));
    let back = mesh.upsert(node(0, 0, 0, 1000 * MIB));
    assert_eq!((back.index, back.generation), (old.index, old.generation + 1));
    assert_eq!((mesh.lookup(&0), mesh.node(old)), (Some(back), None));
    assert_eq!(mesh.node_failed(old, T0).failed, []);
    assert_eq!(mesh.healthy_count(), 6);
}
