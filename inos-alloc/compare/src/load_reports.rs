//! How many reports of load an index of a million nodes takes per second.

use alloc::collections::BTreeSet;
use core::hint::black_box;
use core::time::Duration;

use inos_alloc::{Allocator, Config, NodeRef, NodeReport};

use crate::Effort;
use crate::contest::{Contestant, Role, Stopwatch, compete};
use crate::mesh::{first_load, mixed, node, report, slot};
use crate::report::{Better, Row, Target};

const NODES: u32 = 1_000_000;
/// Reports that arrive together.
const BATCH: usize = 1000;
pub(crate) const BTREE: &str = "btree-rekey";

pub(crate) fn run(name: &'static str, effort: Effort) -> Row {
    let count = effort.units(200_000);
    let (mut ours, mut btree) = (Ours::new(NODES), BTree::new(NODES));
    let mut table: Vec<u16> = (0..NODES).map(first_load).collect();
    let (mut single, mut batches) = (Ours::new(NODES), 0);
    let (mut first, mut second, mut third) = (0, 0, 0);
    let contestants = vec![
        Contestant::new("ours", Role::Ours, move || {
            let reports = ours.reports(&sequence(batches, count));
            batches += 1;
            let watch = Stopwatch::start();
            for batch in reports.chunks(BATCH) {
                ours.report_all(batch);
            }
            f64::from(count) / watch.seconds() / 1e6
        }),
        timed("own-singly", Role::Limit, count, &mut first, |node, load| single.report(node, load)),
        timed(BTREE, Role::Peer, count, &mut second, |node, load| btree.report(node, load)),
        timed("store", Role::Limit, count, &mut third, |node, load| {
            *black_box(&mut table[slot(node)]) = load;
        }),
    ];
    let figures = compete(contestants, effort.rounds);
    let notes = vec![
        format!("{count} reports of random nodes with random loads of 0 to 999, none of which confirms a booking"),
        format!("ours: `report_all` of {BATCH} at a time; own-singly: `report` of each"),
        "btree-rekey: BTreeSet of (load, node) and an array of loads, remove and insert; it knows no zones, latency, \
        capacity or order of reports"
            .into(),
        "store: the load written to an array, no index".into(),
    ];
    let target = Target::TimesAsFastAs(10.0, BTREE);
    Row::new((name, "M reports/s", Better::Higher), &figures, &[], Some(target), notes)
}

/// Everybody gets the same reports, other ones in each turn: repeated ones would change nothing.
fn timed<'a>(
    name: &'static str,
    role: Role,
    count: u32,
    turn: &'a mut u64,
    mut report: impl FnMut(u32, u16) + 'a,
) -> Contestant<'a> {
    Contestant::new(name, role, move || {
        let reports = sequence(*turn, count);
        *turn += 1;
        let watch = Stopwatch::start();
        for &(node, load) in &reports {
            report(node, load);
        }
        f64::from(count) / watch.seconds() / 1e6
    })
}

fn sequence(turn: u64, count: u32) -> Vec<(u32, u16)> {
    let draw = |index: u32| {
        let number = mixed(turn << 32 | u64::from(index));
        let node = u32::try_from((number >> 32) % u64::from(NODES)).expect("a node has 32 bits");
        (node, u16::try_from(number % 1000).expect("below 1000"))
    };
    (0..count).map(draw).collect()
}

struct Ours {
    allocator: Allocator<u32, u64>,
    nodes: Vec<NodeRef>,
}

impl Ours {
    fn new(nodes: u32) -> Self {
        let mut allocator = Allocator::new(Config::default());
        let nodes = (0..nodes).map(|id| allocator.upsert(node(id, 1 << 40))).collect();
        let mut ours = Self { allocator, nodes };
        for id in 0..u32::try_from(ours.nodes.len()).expect("few enough") {
            ours.report(id, first_load(id));
        }
        ours
    }

    /// As they come from a network.
    fn reports(&self, loads: &[(u32, u16)]) -> Vec<(NodeRef, NodeReport)> {
        loads.iter().map(|&(node, load)| (self.nodes[slot(node)], report(load, 0))).collect()
    }

    fn report_all(&mut self, reports: &[(NodeRef, NodeReport)]) {
        let refused = self.allocator.report_all(reports, Duration::ZERO);
        assert!(refused.is_empty(), "healthy nodes report");
    }

    fn report(&mut self, node: u32, load: u16) {
        self.allocator.report(self.nodes[slot(node)], report(load, 0), Duration::ZERO).expect("a healthy node reports");
    }
}

/// What one writes first: an ordered set of loads.
pub(crate) struct BTree {
    loads: Vec<u16>,
    order: BTreeSet<(u16, u32)>,
}

impl BTree {
    pub(crate) fn new(nodes: u32) -> Self {
        let loads: Vec<u16> = (0..nodes).map(first_load).collect();
        let order = loads.iter().copied().zip(0..).collect();
        Self { loads, order }
    }

    pub(crate) fn report(&mut self, node: u32, load: u16) {
        let old = core::mem::replace(&mut self.loads[slot(node)], load);
        self.order.remove(&(old, node));
        self.order.insert((load, node));
    }
}

#[cfg(test)]
mod tests {
    //! Goal: both indexes end with the last report of each node. Method: against a plain array.

    use super::{BTree, Ours, sequence};
    use crate::mesh::{first_load, slot};

    #[test]
    fn both_indexes_follow_the_reports() {
        let (mut ours, mut btree) = (Ours::new(100), BTree::new(100));
        let mut loads: Vec<u16> = (0..100).map(first_load).collect();
        for (node, load) in sequence(0, 5_000).into_iter().map(|(node, load)| (node % 100, load)) {
            ours.report(node, load);
            btree.report(node, load);
            loads[slot(node)] = load;
        }
        let mut order: Vec<(u16, u32)> = loads.iter().copied().zip(0..).collect();
        order.sort_unstable();
        assert!(btree.order.iter().eq(&order));
        assert!(ours.nodes.iter().zip(&loads).all(|(&node, &load)| {
            ours.allocator.load(node).is_some_and(|seen| seen.effective_permille == u32::from(load))
        }));
    }

    #[test]
    fn turns_differ_and_repeat_exactly() {
        assert_ne!(sequence(0, 10), sequence(1, 10));
        assert_eq!(sequence(1, 10), sequence(1, 10));
    }
}
