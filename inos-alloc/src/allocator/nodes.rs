//! The table of nodes: who is there, what they carry, what is booked on them.

mod bookings;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use super::index::{GroupKey, LoadIndex, Spent, Zone, load_key};
use crate::id::{Id, seeded_hash};
use crate::policy::Config;
use crate::scheme::{Part, share_permille};
use crate::slab::{NONE, Slab};
use crate::spec::{NodeRef, NodeReport, NodeSpec};
use crate::trust::{Even, Given, Outcome, Trust, TrustPolicy};
use crate::units::{Capacity, Permille, Requirements};
pub(super) use bookings::Term;

/// What a node is to decisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// Nobody is in the slot.
    Vacant,
    Healthy,
    /// Serves, and gets nothing new.
    Draining,
    Failed {
        /// Whether it was on its way out.
        draining: bool,
    },
}

/// Load of a placement that no report has counted yet. It is in three lists: of its node by number, of all by deadline,
/// and of its link, the newest first.
#[derive(Clone, Copy, Debug)]
struct Booking {
    link: u32,
    seq: u64,
    load_permille: u32,
    need: Capacity,
    deadline: Duration,
    /// In the order of the node.
    before: u32,
    after: u32,
    /// In the order of deadlines.
    older: u32,
    newer: u32,
    of_link: u32,
}

/// A resource on a node.
#[derive(Clone, Copy, Debug)]
struct Link {
    node: u32,
    /// Number of the resource.
    resource: u32,
    before: u32,
    after: u32,
    /// The newest booking.
    bookings: u32,
    /// What the resource was given on the node in all.
    need: Capacity,
}

/// What a node had of a resource when it failed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Carried {
    /// Number of the resource.
    pub(super) resource: u32,
    /// What its reports had counted.
    pub(super) counted: Capacity,
    /// What they had not.
    pub(super) booked: Capacity,
}

/// A booking that is over.
pub(super) struct Ended {
    pub(super) node: NodeRef,
    pub(super) resource: u32,
    pub(super) seq: u64,
    pub(super) load_permille: u32,
    pub(super) need: Capacity,
}

/// What is looked at or changed by every report and every choice.
#[derive(Clone, Copy, Debug)]
struct Hot {
    last_seq: u64,
    /// As last reported.
    available: Capacity,
    generation: u32,
    booked_permille: u32,
    /// Number of its account; `NONE` without bookings.
    account: u32,
    last_mile_us: u32,
    inflight: u32,
    trust: Trust,
    reported: Permille,
    /// What it was given comes to this load at least.
    carried_permille: u16,
    status: Status,
}

const _: () = assert!(size_of::<Hot>() == 80, "two lines of a cache at most");

/// The rest of what is kept of a node.
#[derive(Clone, Debug)]
struct Cold<N> {
    spec: NodeSpec<N>,
    /// Number of its holdings; `NONE` when it carries nothing.
    holdings: u32,
}

/// What a node carries.
#[derive(Clone, Copy, Debug)]
struct Holdings {
    /// Sum over its links.
    carried: Part,
    first_link: u32,
    link_count: u32,
}

impl Holdings {
    const NONE: Self = Self { carried: Part::NONE, first_link: NONE, link_count: 0 };
}

/// The bookings of a node.
#[derive(Clone, Copy, Debug)]
struct Account {
    needs: Capacity,
    first: u32,
    last: u32,
    count: u32,
}

/// A node as it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node<'a, N> {
    hot: &'a Hot,
    account: Option<&'a Account>,
    holdings: &'a Holdings,
    even: Even,
    pub(super) spec: &'a NodeSpec<N>,
}

impl Hot {
    const VACANT: Self = Self {
        last_seq: 0,
        available: Capacity::UNLIMITED,
        generation: 0,
        booked_permille: 0,
        account: NONE,
        last_mile_us: 0,
        inflight: 0,
        trust: Trust::NONE,
        reported: Permille::ZERO,
        carried_permille: 0,
        status: Status::Vacant,
    };

    fn effective_permille(&self) -> u32 {
        u32::from(self.reported.value()).saturating_add(self.booked_permille)
    }

    fn is_alive(&self) -> bool {
        matches!(self.status, Status::Healthy | Status::Draining)
    }

    /// Where it stands when nodes are compared: as no less loaded than what it was given comes to, whatever it reports.
    fn key(&self, even: Even) -> u16 {
        let spent = self.trust.is_spent(even);
        load_key(self.effective_permille(), self.carried_permille, self.trust.handicap_permille(), spent)
    }
}

impl<'a, N> Node<'a, N> {
    /// Reported load and bookings; above 1000 when a node reported high load after it was booked.
    pub(super) fn effective_permille(&self) -> u32 {
        self.hot.effective_permille()
    }

    /// Its load, or what it was given comes to if that is more.
    pub(super) fn load_permille(&self) -> u32 {
        self.effective_permille().max(u32::from(self.hot.carried_permille))
    }

    /// The load it counts as when nodes are compared, its reputation left aside.
    pub(super) fn believed_permille(&self) -> u32 {
        let spent = self.hot.trust.is_spent(self.even);
        u32::from(load_key(self.effective_permille(), self.hot.carried_permille, 0, spent))
    }

    /// Whether it has had its share for now.
    pub(super) fn is_spent(&self) -> bool {
        self.hot.trust.is_spent(self.even) == Spent::Yes
    }

    pub(super) fn status(&self) -> Status {
        self.hot.status
    }

    pub(super) fn reported(&self) -> Permille {
        self.hot.reported
    }

    pub(super) fn booked_permille(&self) -> u32 {
        self.hot.booked_permille
    }

    pub(super) fn inflight(&self) -> u32 {
        self.hot.inflight
    }

    pub(super) fn booking_count(&self) -> u32 {
        self.account.map_or(0, |account| account.count)
    }

    pub(super) fn link_count(&self) -> u32 {
        self.holdings.link_count
    }

    /// What is free when the bookings are counted, whatever was reported never more than there is.
    pub(super) fn free(&self) -> Capacity {
        let free = self.hot.available.min(self.spec.capacity);
        self.account.map_or(free, |account| free.saturating_sub(account.needs))
    }

    pub(super) fn last_mile(&self) -> Duration {
        Duration::from_micros(u64::from(self.hot.last_mile_us))
    }

    pub(super) fn zone(&self) -> Zone {
        (self.spec.region, self.spec.zone)
    }

    pub(super) fn meets(&self, requires: &Requirements) -> bool {
        self.spec.capabilities.contains(requires.capabilities) && self.free().memory_mb >= requires.memory_mb
    }

    pub(super) fn trust(&self) -> &'a Trust {
        &self.hot.trust
    }

    pub(super) fn is_alive(&self) -> bool {
        self.hot.is_alive()
    }
}

#[derive(Clone, Debug)]
pub(super) struct NodeTable<N> {
    seed: u64,
    trust: TrustPolicy,
    /// By slot, as is `cold`.
    hot: Vec<Hot>,
    cold: Vec<Option<Cold<N>>>,
    free: Vec<u32>,
    by_id: BTreeMap<N, u32>,
    /// Healthy nodes only.
    index: LoadIndex,
    /// Healthy and draining ones.
    alive: usize,
    links: Slab<Link>,
    bookings: Slab<Booking>,
    accounts: Slab<Account>,
    holdings: Slab<Holdings>,
    oldest: u32,
    newest: u32,
    given: Given,
    /// Its mean when the present decision began.
    even: Even,
}

pub(super) fn slot_index(index: u32) -> usize {
    // A slot that does not exist on a 16-bit target does not exist at all.
    usize::try_from(index).unwrap_or(usize::MAX)
}

impl<N: Id> NodeTable<N> {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            seed: config.seed,
            trust: config.trust,
            hot: Vec::new(),
            cold: Vec::new(),
            free: Vec::new(),
            by_id: BTreeMap::new(),
            index: LoadIndex::new(config.seed),
            alive: 0,
            links: Slab::new(),
            bookings: Slab::new(),
            accounts: Slab::new(),
            holdings: Slab::new(),
            oldest: NONE,
            newest: NONE,
            given: Given::default(),
            even: Even::default(),
        }
    }

    /// A decision begins: until the next, what is even is what nodes were given up to now.
    pub(super) fn begin(&mut self, now: Duration) {
        self.even = self.given.even(self.index.open_count(), &self.trust, now);
    }

    pub(super) fn alive_count(&self) -> usize {
        self.alive
    }

    pub(super) fn index(&self) -> &LoadIndex {
        &self.index
    }

    pub(super) fn lookup(&self, id: &N) -> Option<NodeRef> {
        self.by_id.get(id).and_then(|&index| self.handle(index))
    }

    pub(super) fn handle(&self, index: u32) -> Option<NodeRef> {
        let hot = self.hot.get(slot_index(index))?;
        (hot.status != Status::Vacant).then_some(NodeRef { index, generation: hot.generation })
    }

    fn hot_of(&self, handle: NodeRef) -> Option<&Hot> {
        let hot = self.hot.get(slot_index(handle.index))?;
        (hot.generation == handle.generation && hot.status != Status::Vacant).then_some(hot)
    }

    /// The number of the last decision that a node has counted; `None` for one that is not there or has failed.
    pub(super) fn last_seq(&self, handle: NodeRef) -> Option<u64> {
        self.hot_of(handle).filter(|hot| hot.is_alive()).map(|hot| hot.last_seq)
    }

    /// The node of a handle, healthy or failed.
    pub(super) fn get(&self, handle: NodeRef) -> Option<Node<'_, N>> {
        self.hot_of(handle).and_then(|_| self.at(handle.index))
    }

    /// The node of a handle, unless it has failed.
    pub(super) fn get_alive(&self, handle: NodeRef) -> Option<Node<'_, N>> {
        self.hot_of(handle).filter(|hot| hot.is_alive()).and_then(|_| self.at(handle.index))
    }

    pub(super) fn at(&self, index: u32) -> Option<Node<'_, N>> {
        let (hot, cold) = (self.hot.get(slot_index(index))?, self.cold.get(slot_index(index))?.as_ref()?);
        let account = (hot.account != NONE).then(|| &self.accounts[hot.account]);
        let holdings = if cold.holdings == NONE { &Holdings::NONE } else { &self.holdings[cold.holdings] };
        Some(Node { hot, account, holdings, even: self.even, spec: &cold.spec })
    }

    fn hot_mut(&mut self, index: u32) -> &mut Hot {
        &mut self.hot[slot_index(index)]
    }

    fn cold_mut(&mut self, index: u32) -> &mut Cold<N> {
        self.cold[slot_index(index)].as_mut().expect("a node that is known has its slot")
    }

    /// All nodes with their slots, in the order of slots.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, Node<'_, N>)> {
        (0..super::count_u32(self.hot.len())).filter_map(|index| Some((index, self.at(index)?)))
    }

    /// Order among nodes that are equal otherwise, before a resource's rotation is taken off.
    pub(super) fn tie(&self, node: Node<'_, N>) -> u64 {
        seeded_hash(self.seed, node.spec.id.to_bytes().as_ref())
    }

    pub(super) fn upsert(&mut self, spec: NodeSpec<N>) -> NodeRef {
        if let Some(&index) = self.by_id.get(&spec.id) {
            return self.update(index, spec);
        }
        let index = if let Some(index) = self.free.pop() {
            index
        } else {
            let index = u32::try_from(self.hot.len()).ok().filter(|&index| index != NONE);
            self.hot.push(Hot::VACANT);
            self.cold.push(None);
            index.expect("a mesh has fewer than 2^32 - 1 nodes")
        };
        self.by_id.insert(spec.id, index);
        let trust = Trust::new(&self.trust);
        self.join(index, spec, trust)
    }

    /// A node comes into a slot with nothing.
    fn join(&mut self, index: u32, spec: NodeSpec<N>, trust: Trust) -> NodeRef {
        let hot = self.hot_mut(index);
        let generation = hot.generation;
        *hot = Hot { generation, status: Status::Healthy, trust, ..Hot::VACANT };
        self.cold[slot_index(index)] = Some(Cold { spec, holdings: NONE });
        self.alive += 1;
        self.enter(index);
        NodeRef { index, generation }
    }

    fn update(&mut self, index: u32, spec: NodeSpec<N>) -> NodeRef {
        let Hot { generation, status, trust, .. } = *self.hot_mut(index);
        if matches!(status, Status::Failed { .. }) {
            // It comes back with nothing: handles to what it was must not reach it. What it has earned stays with its id.
            self.hot_mut(index).generation = generation.wrapping_add(1);
            return self.join(index, spec, trust);
        }
        self.index.remove(index);
        let capacity_changed = self.cold_mut(index).spec.capacity != spec.capacity;
        self.cold_mut(index).spec = spec;
        if capacity_changed {
            self.book_anew(index);
            self.carry_anew(index);
        }
        if status == Status::Healthy {
            self.enter(index);
        }
        NodeRef { index, generation }
    }

    /// What is booked is a share of the capacity: of another one it is another share. A booking that the node cannot hold
    /// any more counts as all of it.
    fn book_anew(&mut self, index: u32) {
        let (capacity, account) = (self.cold_mut(index).spec.capacity, self.hot_mut(index).account);
        let mut at = if account == NONE { NONE } else { self.accounts[account].first };
        let mut booked_permille = 0u32;
        while at != NONE {
            let booking = &mut self.bookings[at];
            booking.load_permille = share_permille(booking.need, capacity);
            booked_permille = booked_permille.saturating_add(booking.load_permille);
            at = booking.after;
        }
        self.hot_mut(index).booked_permille = booked_permille;
    }

    /// The same of all that it carries.
    fn carry_anew(&mut self, index: u32) {
        let Some(node) = self.at(index) else { return };
        let (capacity, mut at) = (node.spec.capacity, node.holdings.first_link);
        if at == NONE {
            return;
        }
        let mut carried = Part::NONE;
        while at != NONE {
            carried = carried.saturating_add(Part::of(self.links[at].need, capacity));
            at = self.links[at].after;
        }
        self.set_carried(index, carried);
    }

    fn set_carried(&mut self, index: u32, carried: Part) {
        let holdings = self.cold_mut(index).holdings;
        self.holdings[holdings].carried = carried;
        self.hot_mut(index).carried_permille = carried.permille();
    }

    /// What a link needs on its node changes.
    fn set_need(&mut self, link: u32, need: Capacity) {
        let Link { node, need: before, .. } = self.links[link];
        self.links[link].need = need;
        let cold = self.cold_mut(node);
        let (capacity, holdings) = (cold.spec.capacity, cold.holdings);
        let carried = self.holdings[holdings].carried;
        if carried.is_saturated() {
            self.carry_anew(node);
        } else {
            let carried = carried.saturating_sub(Part::of(before, capacity));
            self.set_carried(node, carried.saturating_add(Part::of(need, capacity)));
        }
    }

    /// What a resource needs on a node, counted and booked.
    pub(super) fn need_of(&self, link: u32) -> Capacity {
        self.links[link].need
    }

    /// Forgets a node that carries nothing.
    pub(super) fn remove(&mut self, handle: NodeRef) {
        let Some(node) = self.get(handle) else { return };
        debug_assert!(node.link_count() == 0, "a removed node carries nothing");
        let (id, alive) = (node.spec.id, node.is_alive());
        if alive {
            self.index.remove(handle.index);
            self.alive -= 1;
        }
        self.by_id.remove(&id);
        *self.hot_mut(handle.index) = Hot { generation: handle.generation.wrapping_add(1), ..Hot::VACANT };
        self.cold[slot_index(handle.index)] = None;
        self.free.push(handle.index);
    }

    /// A node gets nothing new from now on; `false` when it is not healthy.
    pub(super) fn drain(&mut self, handle: NodeRef) -> bool {
        if self.hot_of(handle).is_none_or(|hot| hot.status != Status::Healthy) {
            return false;
        }
        self.index.remove(handle.index);
        self.hot_mut(handle.index).status = Status::Draining;
        true
    }

    /// A node that was on its way out stays; `false` when it was not.
    pub(super) fn undrain(&mut self, handle: NodeRef) -> bool {
        if self.hot_of(handle).is_none_or(|hot| hot.status != Status::Draining) {
            return false;
        }
        self.hot_mut(handle.index).status = Status::Healthy;
        self.enter(handle.index);
        true
    }

    /// Takes a node out and answers what it carried.
    pub(super) fn fail(&mut self, handle: NodeRef) -> Option<Vec<Carried>> {
        self.get_alive(handle)?;
        self.index.remove(handle.index);
        self.alive -= 1;
        let hot = self.hot_mut(handle.index);
        hot.status = Status::Failed { draining: hot.status == Status::Draining };
        let mut carried = Vec::new();
        while let Some((link, resource)) = self.first_link(handle.index) {
            let booked = self.booked_on(link);
            carried.push(Carried { resource, counted: self.links[link].need.saturating_sub(booked), booked });
            self.detach(link);
        }
        Some(carried)
    }

    /// A failed node is there again, as it was.
    pub(super) fn revive(&mut self, handle: NodeRef) {
        let Some(Status::Failed { draining }) = self.hot_of(handle).map(|hot| hot.status) else { return };
        self.alive += 1;
        self.hot_mut(handle.index).status = if draining { Status::Draining } else { Status::Healthy };
        if !draining {
            self.enter(handle.index);
        }
    }

    fn enter(&mut self, index: u32) {
        let Some(node) = self.at(index) else { return };
        let group = GroupKey::new(node.zone(), node.spec.capabilities, node.spec.capacity);
        let key = node.hot.key(self.even);
        self.index.insert(index, group, key);
    }

    /// Puts a node where its load says.
    fn settle(&mut self, index: u32) {
        let even = self.even;
        let hot = self.hot_mut(index);
        if hot.status == Status::Healthy {
            let key = hot.key(even);
            self.index.set(index, key);
        }
    }

    /// Numbers of the resources on a node and what each was given on it in thousandths, in no order.
    pub(super) fn carried(&self, handle: NodeRef) -> impl Iterator<Item = (u32, u32)> {
        let mut at = self.get(handle).map_or(NONE, |node| node.holdings.first_link);
        core::iter::from_fn(move || {
            let link = (at != NONE).then_some(at)?;
            at = self.links[link].after;
            Some((self.links[link].resource, self.share_permille(link)))
        })
    }

    /// What a resource was given on a node, rounded up.
    pub(super) fn share_permille(&self, link: u32) -> u32 {
        let Link { node, need, .. } = self.links[link];
        let capacity = self.at(node).map_or(Capacity::default(), |node| node.spec.capacity);
        share_permille(need, capacity)
    }

    /// A resource has something on a node that its reports count already.
    pub(super) fn count(&mut self, link: u32, need: Capacity) {
        self.set_need(link, self.links[link].need.saturating_add(need));
        self.settle(self.links[link].node);
    }

    fn first_link(&self, index: u32) -> Option<(u32, u32)> {
        let link = self.at(index)?.holdings.first_link;
        (link != NONE).then(|| (link, self.links[link].resource))
    }

    /// A resource comes to a node; the answer names it there.
    pub(super) fn attach(&mut self, index: u32, resource: u32) -> u32 {
        if self.cold_mut(index).holdings == NONE {
            self.cold_mut(index).holdings = self.holdings.insert(Holdings::NONE);
        }
        let holdings = self.cold_mut(index).holdings;
        let after = self.holdings[holdings].first_link;
        let link = Link { node: index, resource, before: NONE, after, bookings: NONE, need: Capacity::default() };
        let link = self.links.insert(link);
        if after != NONE {
            self.links[after].before = link;
        }
        let holdings = &mut self.holdings[holdings];
        holdings.first_link = link;
        holdings.link_count += 1;
        link
    }

    /// A resource leaves its node, and its bookings with it.
    pub(super) fn detach(&mut self, link: u32) {
        while self.links[link].bookings != NONE {
            self.unbook(self.links[link].bookings);
        }
        self.set_need(link, Capacity::default());
        let Some(Link { node: index, before, after, .. }) = self.links.remove(link) else { return };
        if before != NONE {
            self.links[before].after = after;
        }
        if after != NONE {
            self.links[after].before = before;
        }
        let number = self.cold_mut(index).holdings;
        let holdings = &mut self.holdings[number];
        if before == NONE {
            holdings.first_link = after;
        }
        holdings.link_count -= 1;
        if holdings.link_count == 0 {
            self.holdings.remove(number);
            self.cold_mut(index).holdings = NONE;
        }
        self.settle(index);
    }

    /// A report of a node that is alive.
    pub(super) fn report(&mut self, handle: NodeRef, report: &NodeReport, now: Duration) {
        let index = handle.index;
        while let account = self.hot_mut(index).account
            && account != NONE
            && let first = self.accounts[account].first
            && self.bookings[first].seq <= report.seq
        {
            self.take_booking(first);
        }
        let (trust, counted) = (self.trust, self.counted_permille(index));
        let hot = self.hot_mut(index);
        hot.reported = report.load;
        hot.last_seq = report.seq;
        hot.last_mile_us = u32::try_from(report.last_mile.as_micros()).unwrap_or(u32::MAX);
        hot.inflight = report.inflight;
        hot.available = report.available;
        hot.trust.report(report.load, counted, &trust, now);
        self.settle(index);
    }

    /// Reads what reports of these loads will change, all of it before any of it is waited for.
    pub(super) fn touch(&self, reports: impl Iterator<Item = (u32, Permille)> + Clone) {
        let mut read = 0;
        for (node, _) in reports.clone() {
            // Its first line and its last.
            read ^= self.hot.get(slot_index(node)).map_or(0, |hot| hot.last_seq ^ u64::from(hot.reported.value()));
        }
        core::hint::black_box(read ^ self.index.touch(reports));
    }

    /// What of that which it carries a node has counted, as the least load that it reports.
    fn counted_permille(&self, index: u32) -> u16 {
        let hot = &self.hot[slot_index(index)];
        if hot.account == NONE {
            // That is all of it, and the rest of the node is not looked at.
            return hot.carried_permille;
        }
        let Some(cold) = &self.cold[slot_index(index)] else { return 0 };
        let booked = Part::of(self.accounts[hot.account].needs, cold.spec.capacity);
        // When that is all of the node, nothing is sure about the rest.
        if booked.is_all() { 0 } else { self.holdings[cold.holdings].carried.saturating_sub(booked).permille() }
    }

    pub(super) fn observe(&mut self, handle: NodeRef, outcome: Outcome, now: Duration) {
        let trust = self.trust;
        self.hot_mut(handle.index).trust.observe(outcome, &trust, now);
        self.settle(handle.index);
    }
}
