//! The seed's way: filter, sort all nodes by load, take the first.

use super::Placing;
use crate::mesh::slot;

/// As ours: a node at half load takes nothing.
const HALF: u16 = 500;

/// Loads in thousandths by node, and the memory for the order.
pub(crate) struct NaiveSort {
    loads: Vec<u16>,
    order: Vec<u64>,
}

impl NaiveSort {
    pub(crate) const NAME: &'static str = "naive-sort";

    pub(crate) fn new(loads: Vec<u16>) -> Self {
        let order = Vec::with_capacity(loads.len());
        Self { loads, order }
    }

    /// Load and node in one word, so that an order by words is an order by load.
    fn fill_order(&mut self) {
        self.order.clear();
        let candidates = self.loads.iter().zip(0_u64..).filter(|&(&load, _)| load < HALF);
        self.order.extend(candidates.map(|(&load, node)| u64::from(load) << 32 | node));
    }

    /// Takes the first of the order. Each replica is a thousandth of its node.
    fn take(&mut self, replicas: usize) -> Vec<u32> {
        let chosen: Vec<u32> =
            self.order.iter().take(replicas).map(|word| u32::try_from(word & 0xffff_ffff).unwrap_or(0)).collect();
        for &node in &chosen {
            self.loads[slot(node)] += 1;
        }
        chosen
    }
}

impl Placing for NaiveSort {
    fn place(&mut self, _resource: u64, replicas: usize) -> Vec<u32> {
        self.fill_order();
        self.order.sort_unstable();
        self.take(replicas)
    }

    fn release(&mut self, nodes: &[u32]) {
        for &node in nodes {
            self.loads[slot(node)] -= 1;
        }
    }
}

/// The same, but only as much order as is needed: O(n).
pub(crate) struct NaiveSelect(NaiveSort);

impl NaiveSelect {
    pub(crate) const NAME: &'static str = "naive-select";

    pub(crate) fn new(loads: Vec<u16>) -> Self {
        Self(NaiveSort::new(loads))
    }
}

impl Placing for NaiveSelect {
    fn place(&mut self, _resource: u64, replicas: usize) -> Vec<u32> {
        self.0.fill_order();
        let order = &mut self.0.order;
        if replicas < order.len() {
            order.select_nth_unstable(replicas);
            order.truncate(replicas);
        }
        order.sort_unstable();
        self.0.take(replicas)
    }

    fn release(&mut self, nodes: &[u32]) {
        self.0.release(nodes);
    }
}
