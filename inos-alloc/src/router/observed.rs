//! Round trips that were observed, and requests that are under way.

use alloc::collections::btree_map::Entry;
use alloc::collections::{BTreeMap, BTreeSet};
use core::time::Duration;

use super::latency::PeakEwma;
use crate::spec::NodeRef;
use crate::units::RegionId;

type Pair = (NodeRef, RegionId);

/// A peak-EWMA per pair of node and asking region; when full, the pair that was observed longest ago goes.
#[derive(Clone, Debug)]
pub(super) struct Latencies {
    half_life: Duration,
    max_pairs: usize,
    by_pair: BTreeMap<Pair, (PeakEwma, u64)>,
    by_turn: BTreeMap<u64, Pair>,
    /// Number of the last observation.
    turn: u64,
}

impl Latencies {
    pub(super) fn new(half_life: Duration, max_pairs: usize) -> Self {
        Self { half_life, max_pairs, by_pair: BTreeMap::new(), by_turn: BTreeMap::new(), turn: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.by_pair.len()
    }

    pub(super) fn average(&self, node: NodeRef, from: RegionId) -> Option<&PeakEwma> {
        self.by_pair.get(&(node, from)).map(|(average, _)| average)
    }

    pub(super) fn observe(&mut self, node: NodeRef, from: RegionId, round_trip: Duration, now: Duration) {
        if self.max_pairs == 0 {
            return;
        }
        // 2^64 observations do not happen.
        self.turn += 1;
        match self.by_pair.entry((node, from)) {
            Entry::Occupied(mut pair) => {
                let (average, turn) = pair.get_mut();
                average.observe(round_trip, now, self.half_life);
                self.by_turn.remove(turn);
                *turn = self.turn;
            }
            Entry::Vacant(pair) => {
                pair.insert((PeakEwma::new(round_trip, now), self.turn));
            }
        }
        self.by_turn.insert(self.turn, (node, from));
        if self.by_pair.len() > self.max_pairs
            && let Some((_, oldest)) = self.by_turn.pop_first()
        {
            self.by_pair.remove(&oldest);
        }
    }

    pub(super) fn node_gone(&mut self, node: NodeRef) {
        let whole = (node, RegionId(0))..=(node, RegionId(u32::MAX));
        let pairs: BTreeSet<Pair> = self.by_pair.range(whole).map(|(&pair, _)| pair).collect();
        for pair in pairs {
            if let Some((_, turn)) = self.by_pair.remove(&pair) {
                self.by_turn.remove(&turn);
            }
        }
    }
}

/// A request that a [`ChunkRouter`](crate::ChunkRouter) knows to be under way. Numbers are not used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(u64);

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestEnd {
    /// The node answered, be it with a refusal: the time it took is an observation.
    Answered,
    /// The node is out of reach, or what it sent is bad. Counts as an observation of the request timeout, so that a node
    /// which fails fast does not look fast.
    Failed,
    /// It is not needed any more. The answer would have taken longer than this, so the time is an observation when it is
    /// above what was expected.
    Cancelled,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) node: NodeRef,
    pub(super) from: RegionId,
    pub(super) started: Duration,
    /// Round trip that was expected when it started.
    pub(super) expected: Duration,
}

/// Requests under way. Numbers grow with time, so the first is the oldest.
#[derive(Clone, Debug, Default)]
pub(super) struct Requests {
    last: u64,
    open: BTreeMap<RequestId, Request>,
    by_node: BTreeMap<NodeRef, u32>,
}

impl Requests {
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn to_node(&self, node: NodeRef) -> u32 {
        self.by_node.get(&node).copied().unwrap_or(0)
    }

    pub(super) fn start(&mut self, request: Request) -> RequestId {
        // 2^64 requests do not happen.
        self.last += 1;
        let id = RequestId(self.last);
        self.open.insert(id, request);
        let count = self.by_node.entry(request.node).or_default();
        *count = count.saturating_add(1);
        id
    }

    pub(super) fn end(&mut self, id: RequestId) -> Option<Request> {
        let request = self.open.remove(&id)?;
        if let Entry::Occupied(mut count) = self.by_node.entry(request.node) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
        Some(request)
    }

    /// The oldest request, when it started `timeout` or longer before `now`.
    pub(super) fn pop_overdue(&mut self, now: Duration, timeout: Duration) -> Option<Request> {
        let (&id, request) = self.open.first_key_value()?;
        if now.saturating_sub(request.started) < timeout {
            return None;
        }
        self.end(id)
    }

    pub(super) fn pop_oldest(&mut self) -> Option<Request> {
        let (&id, _) = self.open.first_key_value()?;
        self.end(id)
    }

    pub(super) fn next_overdue(&self, timeout: Duration) -> Option<Duration> {
        self.open.first_key_value().map(|(_, request)| request.started.saturating_add(timeout))
    }

    pub(super) fn node_gone(&mut self, node: NodeRef) {
        if self.by_node.remove(&node).is_some() {
            self.open.retain(|_, request| request.node != node);
        }
    }
}
