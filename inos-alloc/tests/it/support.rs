//! A mesh to test with.

use core::time::Duration;
use inos_alloc::{
    Allocator, Capabilities, Capacity, Class, Config, Demand, NodeRef, NodeReport, NodeSpec, Permille, RegionId,
    Requirements, ResourceSpec, Temperature, ZoneId,
};
use proptest::prelude::ProptestConfig;

pub(crate) const MIB: u64 = 1 << 20;
pub(crate) const GIB: u64 = 1 << 30;
pub(crate) const T0: Duration = Duration::ZERO;

pub(crate) type Mesh = Allocator<u32, u64>;

/// As many cases as `PROPTEST_CASES` says, or this many.
pub(crate) fn cases(usual: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig::with_cases(asked.unwrap_or(usual))
}

pub(crate) fn node(id: u32, region: u32, zone: u32, bytes: u64) -> NodeSpec<u32> {
    NodeSpec {
        id,
        region: RegionId(region),
        zone: ZoneId(zone),
        capabilities: Capabilities::NONE,
        capacity: Capacity { bytes, memory_mb: 1 << 20, bandwidth_kb_s: 1 << 20 },
        price: 1,
    }
}

/// `count` nodes over six regions of four zones each, every zone as large as the others up to one node.
pub(crate) fn mesh(count: u32, bytes: u64) -> (Mesh, Vec<NodeRef>) {
    let mut mesh = Allocator::new(Config { seed: 42, grace: T0, ..Config::default() });
    let nodes = (0..count).map(|id| mesh.upsert(node(id, id % 6, id / 6 % 4, bytes))).collect();
    (mesh, nodes)
}

pub(crate) fn blob(size: u64) -> ResourceSpec {
    ResourceSpec { size, demand: Demand::ZERO, budget: 500, class: Class::Blob, requires: Requirements::default() }
}

pub(crate) fn block(size: u64, temperature: Temperature) -> ResourceSpec {
    ResourceSpec { class: Class::Storage { temperature }, ..blob(size) }
}

pub(crate) fn load_report(load: u16, seq: u64) -> NodeReport {
    NodeReport {
        load: Permille::saturating(load),
        seq,
        last_mile: Duration::from_millis(5),
        inflight: 0,
        available: Capacity::UNLIMITED,
    }
}

pub(crate) fn effective(mesh: &Mesh, node: NodeRef) -> u32 {
    mesh.load(node).unwrap().effective_permille
}

/// Zone of a node, unique in the mesh.
pub(crate) fn zone_of(mesh: &Mesh, node: NodeRef) -> (RegionId, ZoneId) {
    let spec = mesh.node(node).unwrap();
    (spec.region, spec.zone)
}

/// How often each value occurs.
pub(crate) fn tally<T: Ord>(values: impl IntoIterator<Item = T>) -> alloc::collections::BTreeMap<T, u32> {
    let mut counts = alloc::collections::BTreeMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    counts
}
