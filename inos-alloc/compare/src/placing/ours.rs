//! inos-alloc, with nodes that report what they hold.

use alloc::collections::BTreeSet;
use core::time::Duration;

use inos_alloc::{Allocator, Config, NodeRef, Policy, ResourceSpec};

use super::Placing;
use crate::mesh::{blob, node, report, slot};

/// Below 1 MiB: whole copies on five nodes.
const BYTES: u64 = 100_000;
/// The load that a node should have in the end, the middle of what the crate aims for.
const FULL_PERMILLE: u64 = 375;
/// Every node reports after so many resources: whoever decides on older reports has to go by bookings.
const REPORT_EVERY: u64 = 1_000;

/// Nodes without any load but that of the replicas.
pub(crate) struct Ours {
    mesh: Allocator<u32, u64>,
    spec: ResourceSpec,
    nodes: Vec<NodeRef>,
    held: Vec<u64>,
    /// Replicas that make a node as loaded as it should be.
    full: u64,
    unreported: u64,
    now: Duration,
}

impl Ours {
    pub(crate) const NAME: &'static str = "inos-alloc";

    /// Nodes `0..nodes`, each of which is as loaded as it should be with `full` replicas.
    pub(crate) fn with_nodes(nodes: u32, full: u64) -> Self {
        let mut ours = Self {
            mesh: Allocator::new(Config::default()),
            spec: blob(BYTES),
            nodes: Vec::new(),
            held: Vec::new(),
            full,
            unreported: 0,
            now: Duration::ZERO,
        };
        for id in 0..nodes {
            ours.join(id);
        }
        ours
    }

    /// The next node, idle.
    pub(crate) fn join(&mut self, id: u32) {
        self.nodes.push(self.mesh.upsert(node(id, BYTES * self.full * 1000 / FULL_PERMILLE)));
        self.held.push(0);
        self.report_all();
    }

    /// Each node says what it holds, and with that confirms what was booked.
    pub(crate) fn report_all(&mut self) {
        self.now += Duration::from_secs(1);
        let seq = self.mesh.seq();
        for (&node, held) in self.nodes.iter().zip(&self.held) {
            if self.mesh.is_healthy(node) {
                let load = u16::try_from(held * FULL_PERMILLE / self.full).unwrap_or(u16::MAX);
                self.mesh.report(node, report(load, seq), self.now).expect("it is a healthy node");
            }
        }
        self.unreported = 0;
    }

    /// A node is gone, and what it held is recruited elsewhere.
    pub(crate) fn fail(&mut self, id: u32) {
        self.mesh.node_failed(self.nodes[slot(id)], self.now);
    }

    /// Where a resource is now.
    pub(crate) fn nodes_of(&self, resource: u64) -> BTreeSet<u32> {
        let placed = self.mesh.placement(&resource).expect("it was placed");
        placed.replicas.iter().map(|node| node.index).collect()
    }
}

impl Placing for Ours {
    fn place(&mut self, resource: u64, replicas: usize) -> Vec<u32> {
        let placed = self.mesh.allocate(resource, &self.spec, &Policy::default(), self.now).expect("nodes have room");
        let nodes: Vec<u32> = placed.replicas.iter().map(|node| node.index).collect();
        assert_eq!(nodes.len(), replicas, "the size of the blob gives the count");
        for &node in &nodes {
            self.held[slot(node)] += 1;
        }
        self.unreported += 1;
        if self.unreported == REPORT_EVERY {
            self.report_all();
        }
        nodes
    }
}
