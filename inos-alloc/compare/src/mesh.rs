//! The mesh that everybody gets: nodes in six regions of four zones, their loads, and the keys of resources.

use core::time::Duration;

use inos_alloc::{
    Capabilities, Capacity, Class, Demand, NodeReport, NodeSpec, Permille, RegionId, Requirements, ResourceSpec, ZoneId,
};

const REGIONS: u32 = 6;
const ZONES: u32 = 4;
/// Loads are spread over 0..450 thousandths: everybody may take something.
const LOADS: u64 = 450;

/// Ours wants memory, bandwidth and bytes; only the bytes differ between cases.
pub(crate) fn node(id: u32, bytes: u64) -> NodeSpec<u32> {
    NodeSpec {
        id,
        region: RegionId(id % REGIONS),
        zone: ZoneId(id / REGIONS % ZONES),
        capabilities: Capabilities::NONE,
        capacity: Capacity { bytes, memory_mb: 8192, bandwidth_kb_s: 10_000 },
        price: 1,
    }
}

/// A node with room says its load, with every placement up to `seq` counted.
pub(crate) fn report(load_permille: u16, seq: u64) -> NodeReport {
    NodeReport {
        load: Permille::saturating(load_permille),
        seq,
        last_mile: Duration::from_millis(5),
        inflight: 0,
        available: Capacity::UNLIMITED,
    }
}

/// What the nodes did before anything was placed.
pub(crate) fn first_load(id: u32) -> u16 {
    u16::try_from(mixed(u64::from(id)) % LOADS).expect("below 450")
}

/// A blob that ours gives as many replicas as its size says: demand zero, an ordinary budget.
pub(crate) fn blob(size: u64) -> ResourceSpec {
    ResourceSpec { size, demand: Demand::ZERO, budget: 500, class: Class::Blob, requires: Requirements::default() }
}

/// Numbers that follow no order: the mixer of SplitMix64.
pub(crate) fn mixed(number: u64) -> u64 {
    let mut hash = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// A node for an index or a field of a table.
pub(crate) fn slot(id: u32) -> usize {
    usize::try_from(id).expect("at least 32 bits")
}
