//! Many allocators, each with a view that is a thousand decisions old when there are a thousand nodes.
//!
//! Twenty views of the mesh get the reports of every node, each late and some never. Each decision is made on one of them
//! and then forgotten by it: it stands for the many allocators that see the same and do not hear of each other.

use super::report::{Trace, peak_permille};
use super::{Options, Queue, Report, Rng, narrow};
use crate::trust::TrustPolicy;
use crate::{
    Allocator, Capabilities, Capacity, Class, Config, Demand, NodeRef, NodeReport, NodeSpec, Permille, Policy,
    RegionId, Requirements, ResourceSpec, Select, ZoneId,
};
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

const VIEWS: u32 = 20;
const INTERVALS: u64 = 40;

enum Event {
    /// A node sends its load to every view.
    Send(u32),
    Receive {
        view: u32,
        node: u32,
        load: u16,
    },
    Decide(u64),
}

pub(super) fn run(options: &Options, report: &mut Report) {
    let mut trace = Trace::default();
    let least = herd(options, Select::LeastLoaded, &mut trace);
    let two = herd(options, Select::TwoChoices, &mut trace);
    report.count("decisions of each, one per node between two reports", u64::from(options.nodes) * INTERVALS, "");
    report.milli("max/mean, least loaded", least, "");
    report.milli("max/mean, two choices", two, "");
    report.promise("the least loaded herd: at least 3 x the mean", least >= 3000);
    report.promise("two choices do not: at most 1.15 x the mean", two <= 1150);
    report.trace = trace.value();
}

fn herd(options: &Options, select: Select, trace: &mut Trace) -> u64 {
    let mut rng = Rng::of_part(options.seed, 1);
    let mut network = Rng::of_part(options.seed, 2);
    // Who forgets what it gave would count as having had its share: a slow start is for allocators that remember.
    let trust = TrustPolicy { first_share_permille: 1000, ..TrustPolicy::default() };
    let spec = |id: u32| NodeSpec {
        id,
        region: RegionId(id % 6),
        zone: ZoneId(id / 6 % 4),
        capabilities: Capabilities::NONE,
        capacity: Capacity { bytes: 1 << 40, memory_mb: 1 << 20, bandwidth_kb_s: 1 << 20 },
        price: 1,
    };
    let mut views: Vec<Allocator<u32, u64>> = Vec::new();
    let mut handles: Vec<NodeRef> = Vec::new();
    for _ in 0..VIEWS {
        let mut view = Allocator::new(Config { seed: rng.word(), trust, ..Config::default() });
        handles = (0..options.nodes).map(|id| view.upsert(spec(id))).collect();
        views.push(view);
    }
    let own: Vec<u64> = (0..options.nodes).map(|_| rng.below(20)).collect();
    let mut jobs = vec![0u64; own.len()];
    let load = |node: u32, jobs: &[u64]| own[narrow(node)] + jobs[narrow(node)];

    let every = options.reports.every;
    let mut queue = Queue::default();
    for node in 0..options.nodes {
        // All at the same time: a view is as old as it can get.
        queue.put(Duration::ZERO, Event::Send(node));
    }
    let step = every / options.nodes;
    let decisions = u64::from(options.nodes) * INTERVALS;
    queue.put(step, Event::Decide(0));
    let job = ResourceSpec {
        // One thousandth of a node.
        size: 1000,
        demand: Demand::ZERO,
        budget: 500,
        class: Class::Compute,
        requires: Requirements::default(),
    };
    let policy = Policy { select, ..Policy::default() };
    while let Some((now, event)) = queue.take_until(Duration::MAX) {
        match event {
            Event::Send(node) => {
                let load = u16::try_from(load(node, &jobs)).unwrap_or(1000);
                for view in 0..VIEWS {
                    // A tenth of the interval late: the age of views is what their figures are about.
                    let late = network.around(options.reports.delay.min(every / 10));
                    if !network.chance(options.reports.loss_permille) {
                        queue.put(now + late, Event::Receive { view, node, load });
                    }
                }
                if now + every < every * u32::try_from(INTERVALS).unwrap_or(u32::MAX) {
                    queue.put(now + every, Event::Send(node));
                }
            }
            Event::Receive { view, node, load } => {
                let view = &mut views[narrow(view)];
                let report = NodeReport {
                    load: Permille::saturating(load),
                    seq: view.seq(),
                    last_mile: Duration::ZERO,
                    inflight: 0,
                    available: Capacity::UNLIMITED,
                };
                let known = view.report(handles[narrow(node)], report, now);
                debug_assert!(known.is_ok(), "reports of a view come in order of its decisions");
            }
            Event::Decide(number) => {
                let view = &mut views[narrow(rng.below_u32(VIEWS))];
                if let Ok(placed) = view.allocate(number, &job, &policy, now) {
                    for node in placed.replicas {
                        jobs[narrow(node.index)] += 1;
                        trace.add(u64::from(node.index));
                    }
                }
                view.release(&number);
                if number + 1 < decisions {
                    queue.put(now + step, Event::Decide(number + 1));
                }
            }
        }
    }
    let loads: Vec<u64> = (0..options.nodes).map(|node| load(node, &jobs)).collect();
    peak_permille(&loads)
}
