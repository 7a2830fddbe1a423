//! Goal: the indexed allocator decides exactly as the naive one that scans everything. Method: both get the same random
//! joins, reports, allocations, failures, releases and passing time; after each step every placement and every load agree.

use crate::support::cases;
use core::time::Duration;
use inos_alloc::naive::NaiveAllocator;
use inos_alloc::{
    Allocator, Capabilities, Capacity, Ceiling, Class, Config, Demand, MoveBudget, NodeRef, NodeReport, NodeSpec,
    Outcome, Permille, Policy, RegionId, Requirements, Resolution, ResourceSpec, Temperature, Tiers, ZoneId,
};
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Join { id: u32, region: u32, zone: u32, gpu: u32, bytes: u64 },
    Report { id: u32, load: u16, counted: u64, last_mile_ms: u64, free: u64 },
    Latency { a: u32, b: u32, ms: u64 },
    Allocate { id: u64, spec: ResourceSpec, near: Option<u32>, ceiling: Ceiling },
    Release { id: u64 },
    Fail { ids: Vec<u32> },
    Return { id: u32 },
    Observe { id: u32, outcome: Outcome, times: u32 },
    Wait { s: u64 },
}

pub(crate) fn resource() -> impl Strategy<Value = ResourceSpec> {
    let class = prop_oneof![
        4 => Just(Class::Blob),
        1 => Just(Class::Group),
        1 => Just(Class::Compute),
        1 => Just(Class::Storage { temperature: Temperature::Hot }),
        1 => Just(Class::Storage { temperature: Temperature::Cold }),
        1 => (0u64..300).prop_map(|bandwidth_kb_s| Class::Stream { fps: 30, bandwidth_kb_s }),
        1 => prop_oneof![Just(30u32), Just(31)]
            .prop_map(|updates_per_second| Class::State { updates_per_second, resolution: Resolution::Crdt }),
    ];
    let size = prop_oneof![0u64..1 << 20, 1u64 << 20..100 << 20, 100u64 << 20..2 << 30, Just(u64::MAX)];
    (size, 0u16..=1000, 0u64..20_000, class, 0u64..2, 0u64..100).prop_map(
        |(size, demand, budget, class, gpu, memory_mb)| ResourceSpec {
            size,
            demand: Demand::saturating(demand),
            budget,
            class,
            requires: Requirements {
                capabilities: if gpu == 1 && memory_mb < 30 { Capabilities::GPU } else { Capabilities::NONE },
                memory_mb,
                duration_ms: 0,
            },
        },
    )
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let bytes = prop_oneof![Just(0u64), Just(1 << 20), Just(200 << 20), Just(4 << 30), Just(u64::MAX)];
    prop_oneof![
        4 => (0u32..24, 0u32..4, 0u32..3, 0u32..2, bytes)
            .prop_map(|(id, region, zone, gpu, bytes)| Step::Join { id, region, zone, gpu, bytes }),
        4 => (0u32..24, 0u16..1000, 0u64..40, 0u64..60, 0u64..u64::MAX)
            .prop_map(|(id, load, counted, last_mile_ms, free)| Step::Report { id, load, counted, last_mile_ms, free }),
        1 => (0u32..4, 0u32..4, 0u64..60).prop_map(|(a, b, ms)| Step::Latency { a, b, ms }),
        6 => (0u64..12, resource(), prop::option::weighted(0.8, 0u32..4), prop_oneof![Just(Ceiling::Tier), Just(Ceiling::Global)])
            .prop_map(|(id, spec, near, ceiling)| Step::Allocate { id, spec, near, ceiling }),
        1 => (0u64..12).prop_map(|id| Step::Release { id }),
        1 => prop::collection::vec(0u32..24, 1..5).prop_map(|ids| Step::Fail { ids }),
        1 => (0u32..24).prop_map(|id| Step::Return { id }),
        1 => (0u32..24, prop_oneof![Just(Outcome::Served), Just(Outcome::Late), Just(Outcome::Bad), Just(Outcome::Gone)], 1u32..20)
            .prop_map(|(id, outcome, times)| Step::Observe { id, outcome, times }),
        2 => (0u64..100).prop_map(|s| Step::Wait { s }),
    ]
}

pub(crate) fn node_spec(id: u32, region: u32, zone: u32, gpu: u32, bytes: u64) -> NodeSpec<u32> {
    NodeSpec {
        id,
        region: RegionId(region),
        zone: ZoneId(zone),
        capabilities: if gpu == 1 { Capabilities::GPU } else { Capabilities::NONE },
        capacity: Capacity { bytes, memory_mb: 400, bandwidth_kb_s: 1000 },
        price: 0,
    }
}

pub(crate) fn node_report(load: u16, seq: u64, last_mile_ms: u64, free: u64) -> NodeReport {
    NodeReport {
        load: Permille::saturating(load),
        seq,
        last_mile: Duration::from_millis(last_mile_ms),
        inflight: 0,
        available: Capacity { bytes: free, memory_mb: free % 500, bandwidth_kb_s: free % 1200 },
    }
}

/// The ids of a resource's nodes, the primary first.
fn ids_of(mesh: &Allocator<u32, u64>, resource: u64) -> Vec<u32> {
    let placed = mesh.placement(&resource);
    placed.map_or(Vec::new(), |placed| placed.replicas.iter().map(|&node| mesh.node(node).unwrap().id).collect())
}

fn agree(config: Config, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut mesh = Allocator::<u32, u64>::new(config);
    let mut naive = NaiveAllocator::<u32, u64>::new(config);
    let mut now = Duration::ZERO;
    for id in 0..10 {
        mesh.upsert(node_spec(id, id % 3, id % 2, 0, 1 << 30));
        naive.upsert(node_spec(id, id % 3, id % 2, 0, 1 << 30));
    }
    for step in steps {
        match step {
            Step::Join { id, region, zone, gpu, bytes } => {
                mesh.upsert(node_spec(id, region, zone, gpu, bytes));
                naive.upsert(node_spec(id, region, zone, gpu, bytes));
            }
            Step::Report { id, load, counted, last_mile_ms, free } => {
                let report = node_report(load, counted, last_mile_ms, free);
                let node = mesh.lookup(&id).unwrap_or(NodeRef { index: u32::MAX, generation: 0 });
                prop_assert_eq!(mesh.report(node, report, now).is_ok(), naive.report(id, report, now));
            }
            Step::Latency { a, b, ms } => {
                mesh.set_latency(RegionId(a), RegionId(b), Duration::from_millis(ms));
                naive.set_latency(RegionId(a), RegionId(b), Duration::from_millis(ms));
            }
            // The twin has no hierarchies.
            Step::Allocate { spec, .. } if spec.class == Class::Blob && spec.size > 10 << 30 => {}
            Step::Allocate { id, spec, near, ceiling } => {
                let tiers = Tiers::default().with_ceiling(ceiling);
                let policy = Policy { near: near.map(RegionId), tiers, ..Policy::default() };
                let refused = mesh.allocate(id, &spec, &policy, now).err();
                let like = ids_of(&mesh, id);
                prop_assert_eq!(refused, naive.allocate(id, &spec, &policy, &like, now).err());
            }
            Step::Release { id } => prop_assert_eq!(mesh.release(&id), naive.release(id)),
            Step::Fail { ids } => {
                let nodes: Vec<NodeRef> = ids.iter().filter_map(|id| mesh.lookup(id)).collect();
                let plan = mesh.nodes_failed(&nodes, now);
                let repaired: Vec<u64> = plan.repairs.iter().map(|repair| repair.resource).collect();
                prop_assert_eq!(repaired, naive.nodes_failed(&ids, &|id| ids_of(&mesh, id), now));
            }
            Step::Return { id } => {
                let node = mesh.lookup(&id).unwrap_or(NodeRef { index: u32::MAX, generation: 0 });
                let kept = mesh.node_returned(node, now).ok().map(|returned| returned.kept);
                prop_assert_eq!(kept, naive.node_returned(id, now));
            }
            Step::Observe { id, outcome, times } => {
                let node = mesh.lookup(&id).unwrap_or(NodeRef { index: u32::MAX, generation: 0 });
                for _ in 0..times {
                    prop_assert_eq!(mesh.observe_outcome(node, outcome, now), naive.observe_outcome(id, outcome, now));
                }
            }
            Step::Wait { s } => {
                now += Duration::from_secs(s);
                mesh.repair(MoveBudget::UNLIMITED, now);
                naive.repair(&|id| ids_of(&mesh, id), now);
            }
        }
        for id in 0..12u64 {
            // The primary, and the others in any order: which of two equal nodes was taken first is not told.
            let sorted = |mut replicas: Vec<u32>| {
                replicas[1..].sort_unstable();
                replicas
            };
            let ours = mesh.placement(&id).map(|placed| (sorted(ids_of(&mesh, id)), placed.want, placed.over_target));
            let theirs = naive.placement(id).map(|placed| (sorted(placed.replicas), placed.want, placed.over_target));
            prop_assert_eq!(ours, theirs, "resource {}", id);
        }
        for id in 0..24u32 {
            let ours = mesh.lookup(&id).and_then(|node| mesh.load(node)).map(|load| load.effective_permille);
            prop_assert_eq!(ours, naive.effective_permille(id), "node {}", id);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn agrees_with_the_naive_allocator(
        seed in any::<u64>(),
        grace_s in prop_oneof![Just(0u64), Just(60), Just(300)],
        steps in prop::collection::vec(step(), 1..120),
    ) {
        agree(Config { seed, grace: Duration::from_secs(grace_s), ..Config::default() }, steps)?;
    }
}
