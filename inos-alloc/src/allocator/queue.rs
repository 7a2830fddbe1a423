//! Repairs that wait: first for the node to come back, then for room in the budget.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use super::{Allocator, Member};
use crate::id::Id;
use crate::spec::NodeRef;

/// How urgent a repair is: what is lost for good comes last, of the rest the least tolerant first.
type Urgency = (bool, u32);

/// Where a resource waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queued {
    Until(Duration),
    Due(Urgency),
}

#[derive(Clone, Debug)]
pub(super) struct Queue<R> {
    waiting: BTreeMap<(Duration, R), u32>,
    due: BTreeMap<(Urgency, R), u32>,
}

impl<R: Id> Queue<R> {
    pub(super) const fn new() -> Self {
        Self { waiting: BTreeMap::new(), due: BTreeMap::new() }
    }

    pub(super) fn next_due(&self) -> Option<Duration> {
        self.waiting.first_key_value().map(|(&(due, _), _)| due)
    }

    pub(super) fn has_due(&self) -> bool {
        !self.due.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.due.len()
    }

    /// Numbers of the resources whose repair is due, the most urgent first.
    pub(super) fn due(&self) -> Vec<u32> {
        self.due.values().copied().collect()
    }
}

impl<N: Id, R: Id> Allocator<N, R> {
    pub(super) fn unqueue(&mut self, number: u32) {
        let placed = &mut self.resources[number];
        match placed.queued.take() {
            None => None,
            Some(Queued::Until(due)) => self.queue.waiting.remove(&(due, placed.id)),
            Some(Queued::Due(urgency)) => self.queue.due.remove(&(urgency, placed.id)),
        };
    }

    /// The repair of a resource waits until `due`.
    pub(super) fn queue_until(&mut self, number: u32, due: Duration) {
        self.unqueue(number);
        let placed = &mut self.resources[number];
        placed.queued = Some(Queued::Until(due));
        self.queue.waiting.insert((due, placed.id), number);
    }

    /// Moves repairs whose time has come to those that are due, by urgency.
    pub(super) fn make_due(&mut self) {
        while self.queue.next_due().is_some_and(|due| due <= self.now) {
            let Some((_, number)) = self.queue.waiting.pop_first() else { break };
            self.resources[number].queued = None;
            self.queue_due(number);
        }
    }

    /// The repair of a resource is due, by what it tolerates now.
    pub(super) fn queue_due(&mut self, number: u32) {
        self.unqueue(number);
        let (remaining, unrecoverable) = self.survival(&self.resources[number]);
        let urgency = (unrecoverable > 0, remaining.nodes);
        let placed = &mut self.resources[number];
        placed.queued = Some(Queued::Due(urgency));
        self.queue.due.insert((urgency, placed.id), number);
    }

    /// A failed node will not come back as it was: what it had is lost.
    pub(super) fn forget_absence(&mut self, node: NodeRef) {
        for had in self.failed.remove(&node).unwrap_or_default() {
            self.take_absent(had.carried.resource, node);
        }
    }

    /// The resource's record of a node that failed. A number may belong to another resource by now, which has none.
    pub(super) fn take_absent(&mut self, number: u32, node: NodeRef) -> Option<Member> {
        let placed = self.resources.find_mut(number)?;
        let at = placed.absent.iter().position(|absent| absent.node == node)?;
        Some(placed.absent.swap_remove(at))
    }
}
