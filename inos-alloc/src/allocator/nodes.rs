//! The table of nodes: who is there, how loaded, ordered for selection.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use crate::id::{Id, seeded_hash};
use crate::scheme::added_permille;
use crate::spec::{NodeRef, NodeReport, NodeSpec};
use crate::units::{Capacity, Permille, RegionId, Requirements, ZoneId};

/// A failure domain: zone ids count within their region.
pub(super) type Zone = (RegionId, ZoneId);

/// Order of the nodes of a zone: effective load, tie hash, slot.
pub(super) type LoadKey = (u32, u64, u32);

const FULL_PERMILLE: u32 = 1000;

/// Load of a placement that no report has counted yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Booking<R> {
    pub(super) resource: R,
    pub(super) load_permille: u32,
    pub(super) need: Capacity,
    deadline: Duration,
}

#[derive(Clone, Debug)]
pub(super) struct Node<N, R> {
    pub(super) spec: NodeSpec<N>,
    pub(super) healthy: bool,
    pub(super) reported: Permille,
    pub(super) last_seq: u64,
    pub(super) last_mile: Duration,
    pub(super) inflight: u32,
    /// As last reported.
    available: Option<Capacity>,
    pub(super) booked_permille: u32,
    booked: Capacity,
    pub(super) bookings: BTreeMap<u64, Booking<R>>,
    /// Resources this node carries, each with its bookings that are not confirmed.
    pub(super) held: BTreeMap<R, Vec<u64>>,
    pub(super) tie: u64,
}

impl<N, R> Node<N, R> {
    fn new(spec: NodeSpec<N>, tie: u64) -> Self {
        Self {
            spec,
            healthy: true,
            reported: Permille::ZERO,
            last_seq: 0,
            last_mile: Duration::ZERO,
            inflight: 0,
            available: None,
            booked_permille: 0,
            booked: Capacity::default(),
            bookings: BTreeMap::new(),
            held: BTreeMap::new(),
            tie,
        }
    }

    /// Reported load and bookings; above 1000 when a node reported high load after it was booked.
    pub(super) fn effective_permille(&self) -> u32 {
        u32::from(self.reported.value()).saturating_add(self.booked_permille)
    }

    /// What is free when the bookings are counted, whatever was reported never more than there is.
    pub(super) fn free(&self) -> Capacity {
        self.available.unwrap_or(Capacity::UNLIMITED).min(self.spec.capacity).saturating_sub(self.booked)
    }

    /// What is booked is a share of the capacity: of another one it is another share. A booking that the node cannot hold
    /// any more counts as all of it.
    fn book_anew(&mut self) {
        self.booked_permille = 0;
        for booking in self.bookings.values_mut() {
            let share = added_permille(booking.need, self.spec.capacity).unwrap_or(FULL_PERMILLE);
            booking.load_permille = share.min(FULL_PERMILLE);
            self.booked_permille = self.booked_permille.saturating_add(booking.load_permille);
        }
    }

    pub(super) fn zone(&self) -> Zone {
        (self.spec.region, self.spec.zone)
    }

    pub(super) fn meets(&self, requires: &Requirements) -> bool {
        self.spec.capabilities.contains(requires.capabilities) && self.free().memory_mb >= requires.memory_mb
    }
}

#[derive(Clone, Debug)]
struct Slot<N, R> {
    generation: u32,
    node: Option<Node<N, R>>,
}

#[derive(Clone, Debug)]
pub(super) struct NodeTable<N, R> {
    seed: u64,
    slots: Vec<Slot<N, R>>,
    free: Vec<u32>,
    by_id: BTreeMap<N, u32>,
    /// Healthy nodes only.
    by_load: BTreeMap<Zone, BTreeSet<LoadKey>>,
    healthy: usize,
    /// Bookings by the time at which they expire.
    deadlines: BTreeSet<(Duration, u64, u32)>,
}

fn slot_index(index: u32) -> usize {
    // A slot that does not exist on a 16-bit target does not exist at all.
    usize::try_from(index).unwrap_or(usize::MAX)
}

impl<N: Id, R: Id> NodeTable<N, R> {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            slots: Vec::new(),
            free: Vec::new(),
            by_id: BTreeMap::new(),
            by_load: BTreeMap::new(),
            healthy: 0,
            deadlines: BTreeSet::new(),
        }
    }

    pub(super) fn healthy_count(&self) -> usize {
        self.healthy
    }

    pub(super) fn zones(&self) -> &BTreeMap<Zone, BTreeSet<LoadKey>> {
        &self.by_load
    }

    pub(super) fn lookup(&self, id: &N) -> Option<NodeRef> {
        self.by_id.get(id).and_then(|&index| self.handle(index))
    }

    pub(super) fn handle(&self, index: u32) -> Option<NodeRef> {
        let slot = self.slots.get(slot_index(index))?;
        slot.node.as_ref().map(|_| NodeRef { index, generation: slot.generation })
    }

    /// The node of a handle, healthy or failed.
    pub(super) fn get(&self, handle: NodeRef) -> Option<&Node<N, R>> {
        let slot = self.slots.get(slot_index(handle.index))?;
        if slot.generation == handle.generation { slot.node.as_ref() } else { None }
    }

    pub(super) fn get_healthy(&self, handle: NodeRef) -> Option<&Node<N, R>> {
        self.get(handle).filter(|node| node.healthy)
    }

    pub(super) fn at(&self, index: u32) -> Option<&Node<N, R>> {
        self.slots.get(slot_index(index)).and_then(|slot| slot.node.as_ref())
    }

    pub(super) fn upsert(&mut self, spec: NodeSpec<N>) -> NodeRef {
        if let Some(&index) = self.by_id.get(&spec.id) {
            return self.update(index, spec);
        }
        let tie = seeded_hash(self.seed, spec.id.to_bytes().as_ref());
        let node = Node::new(spec, tie);
        let index = if let Some(index) = self.free.pop() {
            index
        } else {
            let index = u32::try_from(self.slots.len()).expect("a mesh has fewer than 2^32 nodes");
            self.slots.push(Slot { generation: 0, node: None });
            index
        };
        self.by_id.insert(spec.id, index);
        self.slots[slot_index(index)].node = Some(node);
        self.link(index);
        self.healthy += 1;
        NodeRef { index, generation: self.slots[slot_index(index)].generation }
    }

    fn update(&mut self, index: u32, spec: NodeSpec<N>) -> NodeRef {
        let slot = &mut self.slots[slot_index(index)];
        let node = slot.node.as_mut().expect("an id in the index has its node");
        if node.healthy {
            self.unlink(index);
            if let Some(node) = self.slots[slot_index(index)].node.as_mut() {
                let capacity_changed = node.spec.capacity != spec.capacity;
                node.spec = spec;
                if capacity_changed {
                    node.book_anew();
                }
            }
        } else {
            // It comes back with nothing: handles to what it was must not reach it.
            let tie = node.tie;
            slot.generation = slot.generation.wrapping_add(1);
            slot.node = Some(Node::new(spec, tie));
            self.healthy += 1;
        }
        self.link(index);
        NodeRef { index, generation: self.slots[slot_index(index)].generation }
    }

    /// Forgets a node that carries nothing.
    pub(super) fn remove(&mut self, handle: NodeRef) {
        let Some(node) = self.get(handle) else { return };
        debug_assert!(node.held.is_empty(), "a removed node carries nothing");
        let (id, healthy) = (node.spec.id, node.healthy);
        if healthy {
            self.unlink(handle.index);
            self.healthy -= 1;
        }
        self.by_id.remove(&id);
        let slot = &mut self.slots[slot_index(handle.index)];
        slot.node = None;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(handle.index);
    }

    /// Takes a healthy node out and answers the resources it carried.
    pub(super) fn fail(&mut self, handle: NodeRef) -> Option<Vec<R>> {
        self.get_healthy(handle)?;
        self.unlink(handle.index);
        self.healthy -= 1;
        let node = self.slots[slot_index(handle.index)].node.as_mut()?;
        node.healthy = false;
        for (&seq, booking) in &node.bookings {
            self.deadlines.remove(&(booking.deadline, seq, handle.index));
        }
        node.bookings.clear();
        node.booked = Capacity::default();
        node.booked_permille = 0;
        Some(core::mem::take(&mut node.held).into_keys().collect())
    }

    fn link(&mut self, index: u32) {
        if let Some(node) = self.at(index) {
            let (zone, key) = (node.zone(), (node.effective_permille(), node.tie, index));
            self.by_load.entry(zone).or_default().insert(key);
        }
    }

    fn unlink(&mut self, index: u32) {
        let Some(node) = self.at(index) else { return };
        let (zone, key) = (node.zone(), (node.effective_permille(), node.tie, index));
        if let Some(keys) = self.by_load.get_mut(&zone) {
            keys.remove(&key);
            if keys.is_empty() {
                self.by_load.remove(&zone);
            }
        }
    }

    fn change(&mut self, index: u32, change: impl FnOnce(&mut Node<N, R>)) {
        self.unlink(index);
        if let Some(node) = self.slots.get_mut(slot_index(index)).and_then(|slot| slot.node.as_mut()) {
            change(node);
        }
        self.link(index);
    }

    /// Adds a booking, or adds to the one this decision has on the node.
    pub(super) fn book(
        &mut self,
        index: u32,
        seq: u64,
        resource: R,
        load_permille: u32,
        need: Capacity,
        deadline: Duration,
    ) {
        self.deadlines.insert((deadline, seq, index));
        self.change(index, |node| {
            node.booked_permille = node.booked_permille.saturating_add(load_permille);
            node.booked = node.booked.saturating_add(need);
            let seqs = node.held.entry(resource).or_default();
            if let Some(booking) = node.bookings.get_mut(&seq) {
                booking.load_permille = booking.load_permille.saturating_add(load_permille);
                booking.need = booking.need.saturating_add(need);
            } else {
                seqs.push(seq);
                node.bookings.insert(seq, Booking { resource, load_permille, need, deadline });
            }
        });
    }

    /// Drops one booking, whether confirmed, expired or released.
    fn unbook(&mut self, index: u32, seq: u64) -> Option<Booking<R>> {
        let booking = *self.at(index)?.bookings.get(&seq)?;
        self.deadlines.remove(&(booking.deadline, seq, index));
        self.change(index, |node| {
            node.bookings.remove(&seq);
            node.booked_permille = node.booked_permille.saturating_sub(booking.load_permille);
            node.booked = node.booked.saturating_sub(booking.need);
            if let Some(seqs) = node.held.get_mut(&booking.resource) {
                seqs.retain(|&held| held != seq);
            }
        });
        Some(booking)
    }

    pub(super) fn report(&mut self, handle: NodeRef, report: &NodeReport) {
        let Some(node) = self.get_healthy(handle) else { return };
        let counted: Vec<u64> = node.bookings.range(..=report.seq).map(|(&seq, _)| seq).collect();
        for seq in counted {
            self.unbook(handle.index, seq);
        }
        self.change(handle.index, |node| {
            node.reported = report.load;
            node.last_seq = report.seq;
            node.last_mile = report.last_mile;
            node.inflight = report.inflight;
            node.available = Some(report.available);
        });
    }

    /// The resource leaves the node; its bookings go with it.
    pub(super) fn let_go(&mut self, handle: NodeRef, resource: &R) {
        let Some(seqs) = self.get(handle).and_then(|node| node.held.get(resource)).cloned() else { return };
        for seq in seqs {
            self.unbook(handle.index, seq);
        }
        if let Some(node) = self.slots.get_mut(slot_index(handle.index)).and_then(|slot| slot.node.as_mut()) {
            node.held.remove(resource);
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.deadlines.first().map(|&(deadline, _, _)| deadline)
    }

    /// Drops the booking that expired first, if one has.
    pub(super) fn pop_expired(&mut self, now: Duration) -> Option<(NodeRef, u64, Booking<R>)> {
        let &(deadline, seq, index) = self.deadlines.first()?;
        if deadline > now {
            return None;
        }
        let handle = self.handle(index)?;
        let booking = self.unbook(index, seq)?;
        Some((handle, seq, booking))
    }
}
