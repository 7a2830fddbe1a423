//! What a node costs in memory, beyond what it says about itself.

use core::time::Duration;

use inos_alloc::{Allocator, Config, NodeReport, NodeSpec};

use crate::contest::{Figures, Role};
use crate::counting::count;
use crate::load_reports::{BTREE, BTree};
use crate::mesh::{first_load, node, report};
use crate::placing::{Anchor, Hashing, Hrw, Ring};
use crate::report::{Better, Row, Target};

const NODES: u32 = 1_000_000;

pub(crate) fn run(name: &'static str) -> Row {
    let total = bytes_per_node(|| {
        let mut allocator = Allocator::<u32, u64>::new(Config::default());
        for id in 0..NODES {
            let handle = allocator.upsert(node(id, 1 << 40));
            allocator.report(handle, report(first_load(id), 0), Duration::ZERO).expect("a new node reports");
        }
        allocator
    });
    let (spec, last_report) = (size_of::<NodeSpec<u32>>(), size_of::<NodeReport>());
    let figures = [
        Figures::counted("ours", Role::Ours, total - (spec + last_report) as f64),
        Figures::counted(BTREE, Role::Peer, bytes_per_node(|| BTree::new(NODES))),
        Figures::counted(Hrw::NAME, Role::Peer, bytes_per_node(|| Hrw::with_nodes(NODES))),
        Figures::counted(Ring::NAME, Role::Peer, bytes_per_node(|| Ring::with_points(NODES, 1))),
    ];
    let notes = vec![
        format!("{NODES} idle nodes that have reported once; bytes as asked for from the allocator and kept"),
        format!("ours: {total:.1} bytes/node in all, less {spec} of a NodeSpec<u32> and {last_report} of a NodeReport"),
        "the others in all: they know a number of 4 bytes per node, and btree-rekey its load; mpchash: one point per node, \
        100 points are as many times that"
            .into(),
        "anchorhash: at most 65535 nodes".into(),
    ];
    let shape = (name, "bytes/node beyond the spec", Better::Lower);
    Row::new(shape, &figures, &[Anchor::NAME], Some(Target::AtMost(64.0)), notes)
}

fn bytes_per_node<T>(build: impl FnOnce() -> T) -> f64 {
    let (kept, counted) = count(build);
    drop(kept);
    counted.kept_bytes as f64 / f64::from(NODES)
}
