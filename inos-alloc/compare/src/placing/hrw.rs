//! hrw-hash: highest random weight, also called rendezvous. Scores every node for a resource and sorts.

use hrw_hash::HrwNodes;

use super::{Hashing, Placing};

pub(crate) struct Hrw {
    members: Vec<u32>,
    nodes: HrwNodes<u32>,
}

impl Hrw {
    /// It has no call to change its members.
    fn of(members: Vec<u32>) -> Self {
        let nodes = HrwNodes::new(members.iter().copied());
        Self { members, nodes }
    }
}

impl Placing for Hrw {
    fn place(&mut self, resource: u64, replicas: usize) -> Vec<u32> {
        self.nodes.sorted(&resource).take(replicas).copied().collect()
    }
}

impl Hashing for Hrw {
    const NAME: &'static str = "hrw-hash";

    fn with_nodes(nodes: u32) -> Self {
        Self::of((0..nodes).collect())
    }

    fn leave(&mut self, node: u32) {
        *self = Self::of(self.members.iter().copied().filter(|&member| member != node).collect());
    }

    fn join(&mut self, node: u32) {
        *self = Self::of(self.members.iter().copied().chain([node]).collect());
    }
}
