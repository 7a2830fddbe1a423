//! A mesh as it is, and the allocator that hears of it late.

mod outage;

use super::disks::Disks;
use super::ledger::{Content, Entry, Health, Item, Layout, StripeNodes};
use super::report::Trace;
use super::{Options, Queue, ReportLine, Rng, narrow};
use crate::{
    Allocator, Capabilities, Capacity, Class, Config, Demand, NodeRef, NodeReport, NodeSpec, PIECE_BYTES, Permille,
    Placement, Policy, RegionId, Requirements, ResourceSpec, Scheme, Temperature, ZoneId, replica_target, scheme,
};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

pub(super) const KIB: u64 = 1 << 10;
pub(super) const MIB: u64 = 1 << 20;
pub(super) const GIB: u64 = 1 << 30;
/// Silence after which a node counts as failed.
pub(super) const NOTICE_AFTER: Duration = Duration::from_secs(5);
const REGIONS: u32 = 6;
const ZONES_PER_REGION: u32 = 4;
/// A transfer whose source cannot be read is tried again after this.
const RETRY: Duration = Duration::from_secs(10);
/// What a transfer takes besides its bytes.
const HANDSHAKE: Duration = Duration::from_millis(100);

pub(super) const fn blob(size: u64) -> ResourceSpec {
    let requires = Requirements { capabilities: Capabilities::NONE, memory_mb: 0, duration_ms: 0 };
    ResourceSpec { size, demand: Demand::ZERO, budget: 500, class: Class::Blob, requires }
}

pub(super) const fn block(size: u64, temperature: Temperature) -> ResourceSpec {
    ResourceSpec { class: Class::Storage { temperature }, ..blob(size) }
}

/// A node of the mesh: six regions of four zones, all alike.
pub(super) const fn spec_of(id: u32, bytes: u64) -> NodeSpec<u32> {
    NodeSpec {
        id,
        region: RegionId(id % REGIONS),
        zone: ZoneId(id / REGIONS % ZONES_PER_REGION),
        capabilities: Capabilities::NONE,
        capacity: Capacity { bytes, memory_mb: 8192, bandwidth_kb_s: 12_500 },
        price: 1,
    }
}

/// When what is placed is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    AtOnce,
    AfterTransfer,
}

/// What a node really is.
struct Truth {
    spec: NodeSpec<u32>,
    handle: NodeRef,
    own_permille: u64,
    /// Load of requests that it answers.
    serving_permille: u64,
    inflight: u32,
    /// Says that it is idle and has counted everything.
    lies: bool,
    /// Grows when it fails: what was under way to an earlier life does not arrive.
    life: u32,
    /// When the last transfer to it ends; one goes on after the other.
    busy_until: Duration,
    /// Decisions that it has not carried out, with what makes several of one decision distinct.
    pending: BTreeSet<(u64, u64)>,
    /// The last decision that concerned it.
    told: u64,
    /// The last decision up to which it has carried out all.
    counted: u64,
    reporting: bool,
}

struct Transfer {
    to: u32,
    life: u32,
    content: Content,
    seq: u64,
    token: u64,
    /// Who deletes it afterwards.
    leaves: Option<(u32, u32)>,
    /// Who places a resource has it; nobody else needs to.
    from_owner: bool,
}

enum Event<E> {
    Send(u32),
    Receive(NodeRef, NodeReport),
    Arrive(Transfer),
    Outside(E),
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// Reports that the allocator refused: overtaken, or of a node that had failed.
    pub(super) refused_reports: u64,
    /// Items that were given to other nodes than before.
    pub(super) moves: u64,
    pub(super) moved_bytes: u64,
    /// Items that failed nodes had, less those they kept when they returned.
    pub(super) displaced: u64,
    /// Groups that could not be read for a while.
    pub(super) unreadable: u64,
    /// Groups that no disk has enough of any more.
    pub(super) lost: u64,
    /// What the allocator called unrecoverable.
    pub(super) unrecoverable: u64,
    /// The longest that something urgent took to be safe again, as of the end of that.
    pub(super) urgent_for: Duration,
    pub(super) bookings_expired: u64,
}

pub(super) struct World<E> {
    pub(super) mesh: Allocator<u32, u64>,
    pub(super) now: Duration,
    pub(super) trace: Trace,
    pub(super) tally: Tally,
    /// Least and most load that nodes have of their own.
    own_permille: (u64, u64),
    reports: ReportLine,
    network: Rng,
    wander: Rng,
    queue: Queue<Event<E>>,
    nodes: Vec<Truth>,
    disks: Disks,
    ledger: BTreeMap<u64, Entry>,
    tokens: u64,
    /// Groups that were whole once.
    acknowledged: BTreeSet<Content>,
    urgent_since: BTreeMap<Content, Duration>,
    unreadable: BTreeSet<Content>,
    lost: BTreeSet<Content>,
}

impl<E> World<E> {
    pub(super) fn new(options: &Options, config: Config, own_permille: (u64, u64)) -> Self {
        Self {
            mesh: Allocator::new(Config { seed: options.seed, ..config }),
            now: Duration::ZERO,
            trace: Trace::default(),
            tally: Tally::default(),
            own_permille,
            reports: options.reports,
            network: Rng::of_part(options.seed, 1),
            wander: Rng::of_part(options.seed, 2),
            queue: Queue::default(),
            nodes: Vec::new(),
            disks: Disks::default(),
            ledger: BTreeMap::new(),
            tokens: 0,
            acknowledged: BTreeSet::new(),
            urgent_since: BTreeMap::new(),
            unreadable: BTreeSet::new(),
            lost: BTreeSet::new(),
        }
    }

    /// A node joins and reports from now on.
    pub(super) fn join(&mut self, spec: NodeSpec<u32>) {
        debug_assert_eq!(narrow(spec.id), self.nodes.len(), "nodes join in the order of their ids");
        let (low, high) = self.own_permille;
        let own_permille = low + self.wander.below(high - low + 1);
        let handle = self.mesh.upsert(spec);
        self.nodes.push(Truth {
            spec,
            handle,
            own_permille,
            serving_permille: 0,
            inflight: 0,
            lies: false,
            life: 0,
            busy_until: Duration::ZERO,
            pending: BTreeSet::new(),
            told: 0,
            counted: 0,
            reporting: true,
        });
        self.disks.add();
        let every = u64::try_from(self.reports.every.as_millis()).unwrap_or(u64::MAX);
        let first = Duration::from_millis(self.network.below(every));
        self.queue.put(self.now + first, Event::Send(spec.id));
    }

    pub(super) fn node_count(&self) -> u32 {
        u32::try_from(self.nodes.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn handle(&self, node: u32) -> NodeRef {
        self.nodes[narrow(node)].handle
    }

    pub(super) fn spec(&self, node: u32) -> NodeSpec<u32> {
        self.nodes[narrow(node)].spec
    }

    pub(super) fn is_up(&self, node: u32) -> bool {
        self.disks.is_up(node)
    }

    /// The load that a node really has.
    pub(super) fn true_load(&self, node: u32) -> u64 {
        let truth = &self.nodes[narrow(node)];
        let held = u128::from(self.disks.bytes(node)) * 1000;
        let held = held.div_ceil(u128::from(truth.spec.capacity.bytes.max(1)));
        truth.own_permille + truth.serving_permille + u64::try_from(held).unwrap_or(u64::MAX / 2)
    }

    /// From now on the node reports that it is idle.
    pub(super) fn lies(&mut self, node: u32) {
        self.nodes[narrow(node)].lies = true;
    }

    /// How much of the node the requests to it take, and how many there are.
    pub(super) fn serves(&mut self, node: u32, permille: u64, inflight: u32) {
        let truth = &mut self.nodes[narrow(node)];
        (truth.serving_permille, truth.inflight) = (permille, inflight);
    }

    /// How often the node has failed.
    pub(super) fn life(&self, node: u32) -> u32 {
        self.nodes[narrow(node)].life
    }

    pub(super) fn true_loads(&self) -> Vec<u64> {
        (0..self.node_count()).filter(|&node| self.is_up(node)).map(|node| self.true_load(node)).collect()
    }

    /// Puts an event of the scenario at a time.
    pub(super) fn at(&mut self, at: Duration, event: E) {
        self.queue.put(at, Event::Outside(event));
    }

    /// Goes on to the next event of the scenario; `None` at `end`.
    pub(super) fn next(&mut self, end: Duration) -> Option<E> {
        while let Some((at, event)) = self.queue.take_until(end) {
            self.now = at;
            match event {
                Event::Send(node) => self.send_report(node),
                Event::Receive(handle, report) => {
                    if self.mesh.report(handle, report, at).is_err() {
                        self.tally.refused_reports += 1;
                    }
                }
                Event::Arrive(transfer) => self.arrive(transfer),
                Event::Outside(event) => return Some(event),
            }
        }
        self.now = end;
        None
    }

    fn report_of(&self, node: u32) -> NodeReport {
        let truth = &self.nodes[narrow(node)];
        let load = u16::try_from(self.true_load(node)).unwrap_or(u16::MAX);
        let capacity = truth.spec.capacity;
        if truth.lies {
            return NodeReport {
                load: Permille::ZERO,
                seq: truth.told,
                last_mile: Duration::from_millis(5),
                inflight: 0,
                available: capacity,
            };
        }
        NodeReport {
            load: Permille::saturating(load),
            seq: truth.counted,
            last_mile: Duration::from_millis(5),
            inflight: truth.inflight,
            available: Capacity { bytes: capacity.bytes.saturating_sub(self.disks.bytes(node)), ..capacity },
        }
    }

    fn send_report(&mut self, node: u32) {
        let (low, high) = self.own_permille;
        if self.is_up(node) {
            let own = self.nodes[narrow(node)].own_permille + self.wander.below(21);
            self.nodes[narrow(node)].own_permille = own.saturating_sub(10).clamp(low, high);
            let report = self.report_of(node);
            let late = self.network.around(self.reports.delay);
            if !self.network.chance(self.reports.loss_permille) {
                self.queue.put(self.now + late, Event::Receive(self.handle(node), report));
            }
            self.queue.put(self.now + self.reports.every, Event::Send(node));
        } else {
            self.nodes[narrow(node)].reporting = false;
        }
    }

    /// Every node reports and is heard, as in a mesh that has been quiet for long.
    pub(super) fn settle(&mut self) {
        for node in 0..self.node_count() {
            let report = self.report_of(node);
            if self.mesh.report(self.handle(node), report, self.now).is_err() {
                self.tally.refused_reports += 1;
            }
        }
    }

    /// Places a resource with its pieces. `None` when the mesh has no room for it.
    pub(super) fn place(
        &mut self,
        id: u64,
        spec: ResourceSpec,
        policy: &Policy,
        arrival: Arrival,
    ) -> Option<Placement> {
        let placed = self.mesh.allocate(id, &spec, policy, self.now).ok()?;
        let layout = self.lay_out(id, &spec, policy, placed.granted);
        let Some(layout) = layout else {
            self.mesh.release(&id);
            return None;
        };
        self.trace.add(id);
        let target = replica_target(&spec, &policy.tiers);
        let entry = Entry { spec, target, layout };
        let mut items = entry.items();
        if items.is_empty() {
            items.extend(placed.replicas.iter().map(|&node| (Item::Whole, node)));
        }
        self.ledger.insert(id, entry);
        for node in &placed.replicas {
            self.trace.add(u64::from(node.index));
            if let Some(node) = self.number(*node) {
                self.tell(node);
            }
        }
        for (item, node) in items {
            let content = Content { resource: id, item };
            let Some(node) = self.number(node) else { continue };
            match arrival {
                Arrival::AtOnce => {
                    self.store(node, content);
                    self.acknowledged.insert(content.group());
                }
                Arrival::AfterTransfer => self.start(node, content, None, true),
            }
        }
        Some(placed)
    }

    /// Gives a resource of one item another count; what it lacks then. Who is dropped deletes it when all others have it, see
    /// [`World::holders_whole`].
    pub(super) fn resize(&mut self, id: u64, count: u32) -> Option<u32> {
        let changed = self.mesh.resize(&id, count, self.now).ok()?;
        self.trace.add(id);
        self.ledger.get_mut(&id)?.target.want = changed.want;
        let content = Content { resource: id, item: Item::Whole };
        for &node in &changed.recruited {
            self.trace.add(u64::from(node.index));
            let Some(node) = self.number(node) else { continue };
            self.start(node, content, None, false);
            self.tally.moves += 1;
        }
        for &node in &changed.dropped {
            self.trace.add(u64::from(node.index));
            if let Some(node) = self.number(node) {
                self.tell(node);
            }
        }
        Some(changed.shortfall)
    }

    /// The nodes that have the whole of a resource. When all that are to have it do, the others delete it.
    pub(super) fn holders_whole(&mut self, id: u64) -> Vec<NodeRef> {
        let content = Content { resource: id, item: Item::Whole };
        let assigned = self.mesh.placement(&id).map_or_else(Vec::new, |placed| placed.replicas);
        let has = |&node: &NodeRef| self.number(node).is_some_and(|node| self.disks.holds(node, content));
        if assigned.iter().all(has) {
            let others: Vec<u32> = self.disks.holders(content).to_vec();
            for node in others.into_iter().filter(|&node| !assigned.contains(&self.handle(node))).collect::<Vec<_>>() {
                self.disks.delete(node, content, self.bytes_of(content));
            }
        }
        let mut holders: Vec<NodeRef> = self.disks.holders(content).iter().map(|&node| self.handle(node)).collect();
        holders.sort_unstable();
        holders
    }

    fn lay_out(&mut self, id: u64, spec: &ResourceSpec, policy: &Policy, granted: u32) -> Option<Layout> {
        let shape = if spec.class == Class::Blob { scheme(spec.size) } else { Scheme::Copies };
        let chunks = spec.size.div_ceil(PIECE_BYTES);
        match shape.for_nodes(granted) {
            Scheme::Copies => Some(Layout::Whole),
            Scheme::Chunks { copies } => {
                let placed = self.mesh.place_chunks(&id, chunks, copies, policy, self.now).ok()?;
                Some(Layout::Chunks { copies: placed.copies, nodes: placed.holders })
            }
            Scheme::Stripes { data, .. } => {
                let mut stripes = Vec::new();
                let mut left = chunks;
                while left > 0 {
                    let data = u32::try_from(left).unwrap_or(u32::MAX).min(data);
                    let number = u32::try_from(stripes.len()).ok()?;
                    let parity = data.div_ceil(5);
                    let placed = self.mesh.place_stripe(&id, number, data, parity, policy, self.now).ok()?;
                    stripes.push(StripeNodes { data, nodes: placed.nodes });
                    left -= u64::from(data);
                }
                Some(Layout::Stripes(stripes))
            }
            Scheme::Hierarchy => None,
        }
    }

    /// Forgets a resource everywhere.
    pub(super) fn release(&mut self, id: u64) {
        // What it had on failed nodes is not going anywhere.
        if let (Some(placed), Some(entry)) = (self.mesh.placement(&id), self.ledger.get(&id)) {
            let gone = |&&(_, node): &&(Item, NodeRef)| !placed.replicas.contains(&node);
            let open = match entry.layout {
                Layout::Whole => u64::from(placed.shortfall),
                _ => super::wide(entry.items().iter().filter(gone).count()),
            };
            self.tally.displaced = self.tally.displaced.saturating_sub(open);
        }
        self.mesh.release(&id);
        self.forget(id);
    }

    fn forget(&mut self, id: u64) {
        let Some(entry) = self.ledger.remove(&id) else { return };
        for (content, holders) in self.disks.of_resource(id) {
            for node in holders {
                self.disks.delete(node, content, entry.bytes_of(content.item));
            }
            let group = content.group();
            self.acknowledged.remove(&group);
            self.urgent_since.remove(&group);
            self.unreadable.remove(&group);
        }
    }

    /// The number of the node behind a handle.
    pub(super) fn number(&self, handle: NodeRef) -> Option<u32> {
        self.mesh.node(handle).map(|spec| spec.id)
    }

    /// The last decision concerned this node.
    fn tell(&mut self, node: u32) {
        let seq = self.mesh.seq();
        let truth = &mut self.nodes[narrow(node)];
        truth.told = seq;
        Self::count(truth);
    }

    fn count(truth: &mut Truth) {
        let counted = truth.pending.first().map_or(truth.told, |&(seq, _)| seq.saturating_sub(1));
        truth.counted = truth.counted.max(counted);
    }

    fn bytes_of(&self, content: Content) -> u64 {
        self.ledger.get(&content.resource).map_or(0, |entry| entry.bytes_of(content.item))
    }

    fn store(&mut self, node: u32, content: Content) {
        self.disks.store(node, content, self.bytes_of(content));
    }

    /// Sends an item to a node by the decision that was made last.
    fn start(&mut self, to: u32, content: Content, leaves: Option<u32>, from_owner: bool) {
        let seq = self.mesh.seq();
        self.tokens += 1;
        let token = self.tokens;
        let bytes = self.bytes_of(content);
        let leaves = leaves.map(|node| {
            self.nodes[narrow(node)].pending.insert((seq, token));
            self.tell(node);
            (node, self.nodes[narrow(node)].life)
        });
        let truth = &mut self.nodes[narrow(to)];
        let micros = bytes.saturating_mul(1000) / truth.spec.capacity.bandwidth_kb_s.max(1);
        truth.busy_until = truth.busy_until.max(self.now) + HANDSHAKE + Duration::from_micros(micros);
        truth.pending.insert((seq, token));
        let (life, at) = (truth.life, truth.busy_until);
        self.tell(to);
        self.queue.put(at, Event::Arrive(Transfer { to, life, content, seq, token, leaves, from_owner }));
    }

    fn arrive(&mut self, transfer: Transfer) {
        let Transfer { to, life, content, seq, token, leaves, from_owner } = transfer;
        let there = self.is_up(to) && self.nodes[narrow(to)].life == life;
        let wanted = there && self.is_assigned(content, self.handle(to));
        if wanted && !from_owner && !self.disks.holds(to, content) && !self.can_be_had(content) {
            self.queue.put(self.now + RETRY, Event::Arrive(transfer));
            return;
        }
        if there {
            let truth = &mut self.nodes[narrow(to)];
            truth.pending.remove(&(seq, token));
            Self::count(truth);
        }
        if wanted {
            self.store(to, content);
            self.look_at(content.group());
        }
        if let Some((node, life)) = leaves
            && self.nodes[narrow(node)].life == life
        {
            let truth = &mut self.nodes[narrow(node)];
            truth.pending.remove(&(seq, token));
            Self::count(truth);
            // When the other did not live to have it, the next repair will want it from here.
            if wanted && !self.is_assigned(content, self.handle(node)) {
                self.disks.delete(node, content, self.bytes_of(content));
            }
        }
    }

    /// Whether the item can be copied, or made again from its stripe.
    fn can_be_had(&self, content: Content) -> bool {
        let health = self.health(content.group());
        health.is_some_and(|health| health.have >= health.need)
    }

    fn is_assigned(&mut self, content: Content, node: NodeRef) -> bool {
        let Some(entry) = self.ledger.get_mut(&content.resource) else { return false };
        match content.item {
            Item::Whole => {
                let placed = self.mesh.placement(&content.resource);
                placed.is_some_and(|placed| placed.replicas.contains(&node))
            }
            item => entry.nodes_of(item).contains(&node),
        }
    }

    /// How much of a group can be read.
    fn health(&self, group: Content) -> Option<Health> {
        let entry = self.ledger.get(&group.resource)?;
        Some(match (group.item, &entry.layout) {
            (Item::Shard { stripe, .. }, Layout::Stripes(stripes)) => {
                let StripeNodes { data, nodes } = stripes.get(narrow(stripe))?;
                let whole = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
                let item = |shard| Content { item: Item::Shard { stripe, shard }, ..group };
                let have = (0..whole).map(|shard| u32::from(self.disks.readable(item(shard)) > 0)).sum();
                let urgent_below = whole - (whole - data).div_ceil(2) + 1;
                Health { have, whole, need: *data, urgent_below }
            }
            (Item::Chunk(_), Layout::Chunks { copies, .. }) => {
                let urgent_below = copies - (copies - 1).div_ceil(2).max(1) + 1;
                Health { have: self.disks.readable(group), whole: *copies, need: 1, urgent_below }
            }
            _ => {
                let want = entry.target.want;
                let urgent_below = entry.target.floor.max(5).min(want);
                Health { have: self.disks.readable(group), whole: want, need: 1, urgent_below }
            }
        })
    }

    /// Copies or shards of a group on any disk, also of nodes that are down.
    fn on_disks(&self, group: Content) -> u32 {
        let Some(entry) = self.ledger.get(&group.resource) else { return u32::MAX };
        let here = |content| u32::from(!self.disks.holders(content).is_empty());
        match (group.item, &entry.layout) {
            (Item::Shard { stripe, .. }, Layout::Stripes(stripes)) => {
                let shards = stripes.get(narrow(stripe)).map_or(0, |stripe| stripe.nodes.len());
                let shards = u32::try_from(shards).unwrap_or(u32::MAX);
                (0..shards).map(|shard| here(Content { item: Item::Shard { stripe, shard }, ..group })).sum()
            }
            _ => here(group),
        }
    }

    /// Writes down what changed for a group.
    fn look_at(&mut self, group: Content) {
        let Some(health) = self.health(group) else { return };
        if health.have >= health.whole {
            self.acknowledged.insert(group);
        }
        if !self.acknowledged.contains(&group) {
            return;
        }
        if health.have >= health.need {
            self.unreadable.remove(&group);
        } else {
            if self.unreadable.insert(group) {
                self.tally.unreadable += 1;
            }
            if self.on_disks(group) < health.need && self.lost.insert(group) {
                self.tally.lost += 1;
            }
        }
        if health.have < health.urgent_below {
            self.urgent_since.entry(group).or_insert(self.now);
        } else if let Some(since) = self.urgent_since.remove(&group) {
            self.tally.urgent_for = self.tally.urgent_for.max(self.now - since);
        }
    }

    fn groups_on(&self, nodes: &[u32]) -> BTreeSet<Content> {
        nodes.iter().flat_map(|&node| self.disks.contents(node)).map(|content| content.group()).collect()
    }

    pub(super) fn drain_expired(&mut self) {
        while self.mesh.poll_expired(self.now).is_some() {
            self.tally.bookings_expired += 1;
        }
    }

    /// Nodes of a region, or of one of its zones, that are up.
    pub(super) fn nodes_in(&self, region: u32, zone: Option<u32>) -> Vec<u32> {
        let here = |&node: &u32| {
            let spec = self.spec(node);
            spec.region.0 == region && zone.is_none_or(|zone| spec.zone.0 == zone) && self.is_up(node)
        };
        (0..self.node_count()).filter(here).collect()
    }

    /// Groups that have less than they are to have, of those that were whole once.
    pub(super) fn wounded(&self) -> u64 {
        let short = |group: &&Content| {
            self.health(**group).is_some_and(|health| {
                let granted = match group.item {
                    Item::Whole => self.mesh.placement(&group.resource).map_or(0, |placed| placed.granted),
                    _ => health.whole,
                };
                health.have < health.whole.min(granted)
            })
        };
        super::wide(self.acknowledged.iter().filter(short).count())
    }

    /// The longest that something was urgent, what still is included.
    pub(super) fn urgent_for(&self) -> Duration {
        let open = self.urgent_since.values().map(|&since| self.now - since).max();
        self.tally.urgent_for.max(open.unwrap_or_default())
    }

    pub(super) fn groups(&self) -> u64 {
        super::wide(self.acknowledged.len())
    }

    pub(super) fn resources(&self) -> Vec<u64> {
        self.ledger.keys().copied().collect()
    }

    /// Whether the allocator's count of pieces on each node is what its answers came to.
    pub(super) fn books_agree(&self) -> bool {
        self.ledger.iter().all(|(id, entry)| {
            let Some(why) = self.mesh.explain(id) else { return false };
            let items = entry.items();
            why.replicas.iter().all(|reason| {
                super::wide(items.iter().filter(|&&(_, node)| node == reason.node).count()) == reason.pieces
            })
        })
    }
}
