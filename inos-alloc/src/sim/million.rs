//! A million nodes: join, report, allocations, and the failure of a zone.

use super::report::Trace;
use super::world::{MIB, block};
use super::{Options, Report, Rng, wide};
use crate::{
    Allocator, Capabilities, Capacity, Config, NodeRef, NodeReport, NodeSpec, Permille, Policy, RegionId, Temperature,
    ZoneId,
};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::time::Duration;

const REGIONS: u32 = 20;
const ZONES_PER_REGION: u32 = 10;

pub(super) fn run(options: &Options, report: &mut Report) {
    let clock = options.clock;
    let mut rng = Rng::of_part(options.seed, 1);
    let mut trace = Trace::default();
    let mut mesh = Allocator::<u32, u64>::new(Config { seed: options.seed, ..Config::default() });
    let spec = |id: u32| NodeSpec {
        id,
        region: RegionId(id % REGIONS),
        zone: ZoneId(id / REGIONS % ZONES_PER_REGION),
        capabilities: Capabilities::NONE,
        capacity: Capacity { bytes: 1 << 37, memory_mb: 8192, bandwidth_kb_s: 12_500 },
        price: 1,
    };
    let start = clock();
    let nodes: Vec<NodeRef> = (0..options.nodes).map(|id| mesh.upsert(spec(id))).collect();
    report.speed("joins", u64::from(options.nodes), start, clock());

    let mut refused = 0u64;
    let mut report_all = |mesh: &mut Allocator<u32, u64>, now: Duration| {
        for &node in &nodes {
            let load = u16::try_from(50 + rng.below(300)).unwrap_or(0);
            let sent = NodeReport {
                load: Permille::saturating(load),
                seq: mesh.seq(),
                last_mile: Duration::from_millis(5),
                inflight: 0,
                available: Capacity::UNLIMITED,
            };
            refused += u64::from(mesh.report(node, sent, now).is_err());
        }
    };
    report_all(&mut mesh, Duration::from_secs(1));
    // The second round changes what the first one said.
    let start = clock();
    report_all(&mut mesh, Duration::from_secs(11));
    report.speed("reports", u64::from(options.nodes), start, clock());

    let count = u64::from(options.nodes / 10);
    let now = Duration::from_secs(12);
    let (mut short, mut over, mut regions_short) = (0u64, 0u64, 0u64);
    let start = clock();
    for id in 0..count {
        match mesh.allocate(id, &block(MIB, Temperature::Warm), &Policy::default(), now) {
            Ok(placed) => {
                short += u64::from(placed.shortfall);
                over += u64::from(placed.over_target);
                regions_short += u64::from(placed.achieved.regions < 4);
                for node in placed.replicas {
                    trace.add(u64::from(node.index));
                }
            }
            Err(_) => short += 1,
        }
    }
    report.speed("allocations of 5", count, start, clock());

    let zone: Vec<NodeRef> = nodes
        .iter()
        .copied()
        .filter(|&node| mesh.node(node).is_some_and(|spec| (spec.region, spec.zone) == (RegionId(3), ZoneId(7))))
        .collect();
    let held: Vec<u64> = zone.iter().flat_map(|&node| mesh.resources_on(node)).collect();
    let affected: BTreeSet<u64> = held.iter().copied().collect();
    let usable = mesh.usable(&crate::Requirements::default());
    let start = clock();
    let plan = mesh.nodes_failed(&zone, now + Duration::from_secs(5));
    report.speed("repairs after the zone", wide(plan.repairs.len()), start, clock());
    let recruited: usize = plan.repairs.iter().map(|repair| repair.recruited.len()).sum();
    let whole = plan.repairs.iter().all(|repair| repair.shortfall == 0 && repair.unrecoverable == 0);
    let named: BTreeSet<u64> = plan.repairs.iter().map(|repair| repair.resource).collect();
    for repair in &plan.repairs {
        trace.add(repair.resource ^ repair.seq.rotate_left(32));
    }
    let start = clock();
    for id in 0..count {
        mesh.release(&id);
    }
    report.speed("releases", count, start, clock());
    let free = mesh.usable(&crate::Requirements::default());

    report.count("allocations", count, "");
    report.count("nodes of the failed zone", wide(zone.len()), "nodes");
    report.count("replicas on it", wide(held.len()), "replicas");
    report.count("replicas recruited", wide(recruited), "replicas");
    report.promise("every report is taken", refused == 0);
    report.promise("every allocation gets its nodes, none above half load", short == 0 && over == 0);
    report.promise("five replicas are in five regions", regions_short == 0);
    report.promise("exactly the replicas of the failed nodes are recruited anew", recruited == held.len() && whole);
    report.promise("exactly the resources of the failed nodes change", named == affected);
    report
        .promise("nothing is left of released resources", free == usable - zone.len() && mesh.resources().count() == 0);
    report.trace = trace.value();
}
