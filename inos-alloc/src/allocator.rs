//! The state machine: nodes and reports in, placements and repairs out.

mod explain;
mod failover;
mod index;
mod moves;
mod nodes;
mod pieces;
mod queue;
mod resize;
mod roles;
mod route;
mod select;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::time::Duration;

use crate::error::{AllocateError, RemoveError, ReportError};
use crate::hierarchy::HierarchyLimits;
use crate::id::{Id, seeded_hash};
use crate::placement::{ExpiredBooking, Placement, Tolerance};
use crate::policy::{ALLOCATE_MAX, Config, Policy, Select, Weights};
use crate::scheme::{PIECE_BYTES, Scheme, scheme_of};
use crate::slab::Slab;
use crate::spec::{NodeRef, NodeReport, NodeSpec, ResourceSpec};
use crate::target::{Target, replica_target};
use crate::trust::Outcome;
use crate::units::{Capacity, Permille, RegionId, Requirements};
pub(crate) use index::{GroupKey, Spent, load_key};
use moves::Leaving;
use nodes::{Carried, Ended, NodeTable, Status, Term};
pub use pieces::MAX_PIECES;
use pieces::Pieces;
use queue::{Queue, Queued};
use roles::Roles;
pub(crate) use select::{Arrangement, arrangement};
use select::{Pick, Request, Scratch};

/// Expired bookings kept for [`Allocator::poll_expired`]; of more than these the oldest are dropped.
const MAX_EXPIRED: usize = 4096;

/// Reports whose nodes are fetched from memory together.
const REPORT_BLOCK: usize = 32;

/// A node of a resource.
#[derive(Clone, Copy, Debug)]
struct Member {
    node: NodeRef,
    /// Names the resource on the node; of no meaning for a member that is absent.
    link: u32,
    over_target: bool,
    /// Bytes that the node's load or its bookings account for, at least `pieces` x piece size.
    covered_bytes: u64,
    /// Pieces of the resource on the node.
    pieces: u64,
}

/// What a failed node may still have.
#[derive(Clone, Copy, Debug)]
struct Had {
    carried: Carried,
    /// Of the resource: its number may belong to another one by now.
    born: u64,
}

#[derive(Clone, Debug)]
struct Resource<R> {
    id: R,
    /// Number of the decision that placed it.
    born: u64,
    spec: ResourceSpec,
    near: Option<RegionId>,
    select: Select,
    weights: Weights,
    /// Where its order among equal nodes starts.
    rotation: u64,
    want: u32,
    floor: u32,
    ceiling: u32,
    /// The primary first; empty while all that had it have failed.
    members: Vec<Member>,
    /// Nodes that failed and may come back before their share is given to others.
    absent: Vec<Member>,
    pieces: Pieces,
    /// Of a resource that is a hierarchy, which has no other pieces.
    roles: Option<Box<Roles>>,
    queued: Option<Queued>,
    seq: u64,
}

impl<R> Resource<R> {
    fn piece_bytes(&self) -> u64 {
        self.spec.size.min(PIECE_BYTES)
    }

    fn nodes(&self) -> BTreeSet<NodeRef> {
        self.members.iter().map(|member| member.node).collect()
    }

    fn over_target(&self) -> u32 {
        count_u32(self.members.iter().filter(|member| member.over_target).count())
    }

    /// What to look for when it needs nodes.
    fn request(&self) -> Request<'_> {
        Request {
            spec: &self.spec,
            near: self.near,
            select: self.select,
            weights: self.weights,
            rotation: self.rotation,
            want: self.want,
            floor: self.floor,
            members: &self.members,
            except: None,
            need: None,
            within: None,
        }
    }
}

/// Load of one node, as the allocator sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct NodeLoad {
    /// What the node reported last; zero before its first report.
    pub reported: Permille,
    /// Load of placements that no report has counted yet, in thousandths.
    pub booked_permille: u32,
    /// `reported + booked_permille`: what decisions go by.
    pub effective_permille: u32,
    /// What is free, the bookings taken off.
    pub free: Capacity,
    /// Round trip to the edge of its region at its last report.
    pub last_mile: Duration,
    /// Requests it was serving at its last report.
    pub inflight: u32,
    /// Bookings that no report has confirmed.
    pub bookings: usize,
    /// Resources it carries.
    pub resources: usize,
    /// What came of requests to it: 500 is neutral, and what no news turns to.
    pub reputation: Permille,
    /// What it may be given in one window, if that is more than nodes are given on average, before it comes after others; in
    /// thousandths of its capacity.
    pub share_permille: u32,
}

/// Decides where resources are and where requests go. See the crate's documentation for the driving loop.
///
/// `N` is the integrator's id of a node, `R` of a resource. Calls that take `now` first drop the bookings that have
/// expired by then; time that goes backwards counts as standing still. `n` below is the number of nodes, `z` of zones.
#[derive(Clone, Debug)]
pub struct Allocator<N, R> {
    config: Config,
    now: Duration,
    seq: u64,
    nodes: NodeTable<N>,
    latencies: BTreeMap<(RegionId, RegionId), Duration>,
    /// By number.
    resources: Slab<Resource<R>>,
    numbers: BTreeMap<R, u32>,
    /// Failed nodes that may come back, and what they may still have.
    failed: BTreeMap<NodeRef, Vec<Had>>,
    queue: Queue<R>,
    /// By slot of the node.
    leaving: BTreeMap<u32, Leaving>,
    expired: VecDeque<ExpiredBooking<R>>,
    scratch: Scratch,
}

impl<N: Id, R: Id> Allocator<N, R> {
    /// An allocator without nodes.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            now: Duration::ZERO,
            seq: 0,
            nodes: NodeTable::new(&config),
            latencies: BTreeMap::new(),
            resources: Slab::new(),
            numbers: BTreeMap::new(),
            failed: BTreeMap::new(),
            queue: Queue::new(),
            leaving: BTreeMap::new(),
            expired: VecDeque::new(),
            scratch: Scratch::default(),
        }
    }

    /// A node joins, or changes what it is. O(log n).
    ///
    /// A node that is known and healthy keeps its handle, replicas and reported load; what it carries and what is booked on it
    /// become shares of the capacity it has now, O(k + b) more for its `k` resources and `b` bookings when that changed. One that had failed comes back empty,
    /// under a new handle. Until its first report a node counts as idle, with all of its capacity free.
    ///
    /// # Panics
    ///
    /// With 2^32 nodes in the mesh.
    pub fn upsert(&mut self, spec: NodeSpec<N>) -> NodeRef {
        let before = self.nodes.lookup(&spec.id);
        let node = self.nodes.upsert(spec);
        if let Some(before) = before.filter(|&before| before != node) {
            self.forget_absence(before);
        }
        node
    }

    /// The handle of a node, healthy or failed. O(log n).
    #[must_use]
    pub fn lookup(&self, id: &N) -> Option<NodeRef> {
        self.nodes.lookup(id)
    }

    /// Forgets a node that carries nothing. O(log n), and O(what it carried) for one that had failed.
    ///
    /// # Errors
    ///
    /// [`RemoveError::InUse`] while it carries resources: [`Allocator::drain`] moves them away while the node is there,
    /// [`Allocator::node_failed`] when it is gone. After that it can be removed.
    pub fn remove(&mut self, node: NodeRef) -> Result<(), RemoveError> {
        let resources = self.nodes.get(node).ok_or(RemoveError::UnknownNode)?.link_count();
        if resources > 0 {
            return Err(RemoveError::InUse { resources: usize::try_from(resources).unwrap_or(usize::MAX) });
        }
        self.forget_absence(node);
        self.leaving.remove(&node.index);
        self.nodes.remove(node);
        Ok(())
    }

    /// A node says how loaded it is. Bookings that it counts are confirmed: from now on its own figure includes them.
    /// O(1), and O(1) per booking confirmed.
    ///
    /// # Errors
    ///
    /// [`ReportError::UnknownNode`] for a handle without a healthy node, [`ReportError::Outdated`] for a report that a
    /// newer one overtook, [`ReportError::FromTheFuture`] for one that counts what was never decided.
    pub fn report(&mut self, node: NodeRef, report: NodeReport, now: Duration) -> Result<(), ReportError> {
        self.check_report(node, &report)?;
        self.advance(now);
        self.take_report(node, &report);
        Ok(())
    }

    fn check_report(&self, node: NodeRef, report: &NodeReport) -> Result<(), ReportError> {
        let last = self.nodes.last_seq(node).ok_or(ReportError::UnknownNode)?;
        if report.seq < last {
            return Err(ReportError::Outdated { seq: report.seq, last });
        }
        if report.seq > self.seq {
            return Err(ReportError::FromTheFuture { seq: report.seq, last: self.seq });
        }
        Ok(())
    }

    fn take_report(&mut self, node: NodeRef, report: &NodeReport) {
        self.nodes.report(node, report, self.now);
        if self.leaving.get_mut(&node.index).is_some_and(|leaving| leaving.counted(report.seq)) {
            self.leaving.remove(&node.index);
        }
    }

    /// Takes many reports in their order, as [`Allocator::report`] does, and answers the positions of those it refused; time
    /// passes even when that is all of them. With many nodes this is several times as fast as one after the other: what a report changes is seldom in a cache, and what
    /// many change is fetched at once.
    pub fn report_all(&mut self, reports: &[(NodeRef, NodeReport)], now: Duration) -> Vec<(usize, ReportError)> {
        self.advance(now);
        let mut refused = Vec::new();
        for (block, reports) in reports.chunks(REPORT_BLOCK).enumerate() {
            self.nodes.touch(reports.iter().map(|(node, report)| (node.index, report.load)));
            for (at, &(node, report)) in reports.iter().enumerate() {
                match self.check_report(node, &report) {
                    Ok(()) => self.take_report(node, &report),
                    Err(error) => refused.push((block * REPORT_BLOCK + at, error)),
                }
            }
        }
        refused
    }

    /// What came of a request to a node counts for its reputation, and so for its place among nodes of the same load and
    /// for how much it may be given at a time. `false` for a handle without a node. O(1).
    ///
    /// A piece that failed verification is [`Outcome::Bad`]. `docs/policy.md` has how much each outcome counts.
    pub fn observe_outcome(&mut self, node: NodeRef, outcome: Outcome, now: Duration) -> bool {
        let known = self.nodes.get(node).is_some();
        if known {
            self.advance(now);
            self.nodes.observe(node, outcome, self.now);
        }
        known
    }

    /// Sets the round trip between two regions, in both directions. Within a region it is zero unless set.
    pub fn set_latency(&mut self, a: RegionId, b: RegionId, round_trip: Duration) {
        self.latencies.insert((a.min(b), a.max(b)), round_trip);
    }

    /// The round trip between two regions; `None` when they differ and it was not set.
    #[must_use]
    pub fn region_latency(&self, a: RegionId, b: RegionId) -> Option<Duration> {
        let set = self.latencies.get(&(a.min(b), a.max(b))).copied();
        if a == b { Some(set.unwrap_or(Duration::ZERO)) } else { set }
    }

    /// How many healthy nodes below half load meet the requirements, before anything is added. O(groups), where a group is
    /// what nodes of a zone with the same capabilities and the same order of size are; O(n) when memory is required.
    #[must_use]
    pub fn usable(&self, requires: &Requirements) -> usize {
        let index = self.nodes.index();
        let groups = index.zones().iter().flat_map(|zone| &zone.groups).map(|&group| index.group(group));
        let able = groups.filter(|group| group.key.capabilities.contains(requires.capabilities));
        if requires.memory_mb == 0 {
            return able.map(|group| group.open_count()).sum();
        }
        let half = u32::from(ALLOCATE_MAX.value());
        let nodes = able.flat_map(|group| group.members()).filter_map(|&node| self.nodes.at(node));
        nodes.filter(|node| node.effective_permille() < half && node.meets(requires)).count()
    }

    /// How many nodes are in the mesh and have not failed; those that are drained count.
    #[must_use]
    pub fn healthy_count(&self) -> usize {
        self.nodes.alive_count()
    }

    /// What a node is, healthy or failed.
    #[must_use]
    pub fn node(&self, node: NodeRef) -> Option<&NodeSpec<N>> {
        self.nodes.get(node).map(|node| node.spec)
    }

    /// Whether the handle names a node that has not failed.
    #[must_use]
    pub fn is_healthy(&self, node: NodeRef) -> bool {
        self.nodes.get_alive(node).is_some()
    }

    /// Whether the node is on its way out: it serves, and gets nothing new.
    #[must_use]
    pub fn is_draining(&self, node: NodeRef) -> bool {
        self.nodes.get(node).is_some_and(|node| node.status() == Status::Draining)
    }

    /// How loaded a node is; `None` for a handle without a node, and for one that failed.
    #[must_use]
    pub fn load(&self, node: NodeRef) -> Option<NodeLoad> {
        let count = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        self.nodes.get_alive(node).map(|node| NodeLoad {
            reported: node.reported(),
            booked_permille: node.booked_permille(),
            effective_permille: node.effective_permille(),
            free: node.free(),
            last_mile: node.last_mile(),
            inflight: node.inflight(),
            bookings: count(node.booking_count()),
            resources: count(node.link_count()),
            reputation: node.trust().reputation(&self.config.trust, self.now),
            share_permille: node.trust().share_permille(),
        })
    }

    /// The resources on a node, in ascending order. O(k log k) for `k` resources.
    pub fn resources_on(&self, node: NodeRef) -> impl Iterator<Item = R> + '_ {
        let mut carried: Vec<R> = self.nodes.carried(node).map(|(number, _)| self.resources[number].id).collect();
        carried.sort_unstable();
        carried.into_iter()
    }

    /// Number of the last decision that changed what a node has to hold; 0 before the first.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Chooses the nodes of a resource and books its load on them at once.
    ///
    /// O(g log g + k z + p): `k` is the count, `g` the number of groups (nodes of a zone with the same capabilities and the
    /// same order of size), `z` the zones of a region, `p` the nodes that are passed over because they lack the room. The
    /// number of nodes does not matter. A blob that is cut up needs more of each node when fewer can take it: then nodes
    /// are counted again, at most `k` times. Classes that go by latency look at every node below half load in the regions
    /// that are near enough.
    ///
    /// A blob above 10 GiB becomes a hierarchy: see [`Allocator::allocate_hierarchy`], which this calls with the default
    /// limits and the count it deserves as [`nodes_max`](HierarchyLimits::nodes_max).
    ///
    /// # Errors
    ///
    /// [`AllocateError`]: placed already, no consumer to be near to, or no node at all. Fewer nodes than wanted are no
    /// error but a [`Placement::shortfall`].
    pub fn allocate(
        &mut self,
        resource: R,
        spec: &ResourceSpec,
        policy: &Policy,
        now: Duration,
    ) -> Result<Placement, AllocateError> {
        self.check_new(&resource)?;
        if matches!(arrangement(&spec.class), Arrangement::Nearest { .. }) && policy.near.is_none() {
            return Err(AllocateError::NeedsConsumer);
        }
        self.advance(now);
        let target = replica_target(spec, &policy.tiers);
        if scheme_of(spec) == Scheme::Hierarchy {
            let limits = HierarchyLimits { nodes_max: target.want, ..HierarchyLimits::default() };
            return self.allocate_hierarchy(resource, spec, &limits, policy, now);
        }
        let placed = self.unplaced(resource, spec, policy, target);
        let mut scratch = core::mem::take(&mut self.scratch);
        let selection = self.select_with(&placed.request(), &mut scratch);
        self.scratch = scratch;
        if selection.picks.is_empty() {
            return Err(AllocateError::NoUsableNode { want: target.want, healthy: self.nodes.alive_count() });
        }
        self.seq += 1;
        let mut members = self.to_members(&selection.picks, selection.need);
        let primary = self.best_primary(&members, policy.near, placed.rotation);
        let number = self.resources.insert(placed);
        self.numbers.insert(resource, number);
        self.settle_in(number, &mut members, &selection.picks, selection.need);
        members[..=primary].rotate_right(1);
        self.resources[number].members = members;
        Ok(self.describe(&self.resources[number]))
    }

    fn check_new(&self, resource: &R) -> Result<(), AllocateError> {
        match self.find(resource) {
            None => Ok(()),
            Some(placed) => Err(AllocateError::AlreadyAllocated { granted: count_u32(placed.members.len()) }),
        }
    }

    /// A resource that has no nodes yet.
    fn unplaced(&self, id: R, spec: &ResourceSpec, policy: &Policy, target: Target) -> Resource<R> {
        let Target { want, floor, ceiling } = target;
        Resource {
            id,
            spec: *spec,
            near: policy.near,
            select: policy.select,
            weights: policy.weights,
            rotation: seeded_hash(!self.config.seed, id.to_bytes().as_ref()),
            want,
            floor,
            ceiling,
            members: Vec::new(),
            absent: Vec::new(),
            pieces: Pieces::None,
            roles: None,
            queued: None,
            born: self.seq + 1,
            seq: self.seq + 1,
        }
    }

    /// Forgets a resource, its pieces and its bookings. What its nodes have reported already stays in their load until
    /// they report again. `false` when it was not known. O(k log n).
    pub fn release(&mut self, resource: &R) -> bool {
        let Some(number) = self.numbers.get(resource).copied() else { return false };
        self.drop_resource(number);
        true
    }

    fn drop_resource(&mut self, number: u32) {
        self.unqueue(number);
        let Some(placed) = self.resources.remove(number) else { return };
        self.numbers.remove(&placed.id);
        for member in placed.members {
            self.nodes.detach(member.link);
        }
    }

    /// Where a resource is now; `None` for one that is not placed, or whose nodes have all failed. O(pieces).
    #[must_use]
    pub fn placement(&self, resource: &R) -> Option<Placement> {
        self.find(resource).filter(|placed| !placed.members.is_empty()).map(|placed| self.describe(placed))
    }

    fn find(&self, resource: &R) -> Option<&Resource<R>> {
        self.numbers.get(resource).map(|&number| &self.resources[number])
    }

    /// The resources that are placed, those whose nodes have all failed included, in ascending order.
    pub fn resources(&self) -> impl Iterator<Item = R> + '_ {
        self.numbers.keys().copied()
    }

    /// When the next booking expires or the next repair is due: the latest time for the next call with `now`. While repairs are
    /// due, the last time that was told: [`Allocator::repair`] is to be called.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        if self.queue.has_due() {
            return Some(self.now);
        }
        let next = self.nodes.next_deadline().into_iter().chain(self.queue.next_due()).min();
        next.map(|next| next.max(self.now))
    }

    /// A booking that was dropped because no report confirmed it within
    /// [`Config::booking_ttl`], oldest first; `None` when there is no other. The newest 4,096 are kept.
    pub fn poll_expired(&mut self, now: Duration) -> Option<ExpiredBooking<R>> {
        self.advance(now);
        self.expired.pop_front()
    }

    /// Drops expired bookings.
    fn advance(&mut self, now: Duration) {
        self.now = self.now.max(now);
        self.nodes.begin(self.now);
        while let Some(Ended { node, resource, seq, load_permille, need }) = self.nodes.pop_expired(self.now) {
            let placed = &mut self.resources[resource];
            let piece_bytes = placed.piece_bytes();
            for member in placed.members.iter_mut().filter(|member| member.node == node) {
                // Pieces placed from now on are booked anew; those placed before are as good as counted.
                let on_it = member.pieces.saturating_mul(piece_bytes).min(member.covered_bytes);
                member.covered_bytes = member.covered_bytes.saturating_sub(need.bytes).max(on_it);
            }
            if self.expired.len() == MAX_EXPIRED {
                self.expired.pop_front();
            }
            self.expired.push_back(ExpiredBooking { resource: placed.id, node, seq, load_permille });
        }
    }

    fn to_members(&self, picks: &[Pick], need: Capacity) -> Vec<Member> {
        let member = |pick: &Pick| {
            let node = self.nodes.handle(pick.index)?;
            let over_target = pick.over_target;
            Some(Member { node, link: crate::slab::NONE, over_target, covered_bytes: need.bytes, pieces: 0 })
        };
        picks.iter().filter_map(member).collect()
    }

    /// Ties a resource to new members and books what they need; `members` are those of the picks, in their order.
    fn settle_in(&mut self, number: u32, members: &mut [Member], picks: &[Pick], need: Capacity) {
        for (member, pick) in members.iter_mut().zip(picks) {
            member.link = self.nodes.attach(pick.index, number);
            self.nodes.book(member.link, need, self.term());
        }
    }

    /// What is booked now.
    const fn term(&self) -> Term {
        Term { seq: self.seq, now: self.now, ttl: self.config.booking_ttl }
    }

    /// Position of the best primary: the nearest, then the most capable, then the least loaded, then the tie order.
    fn best_primary(&self, members: &[Member], near: Option<RegionId>, rotation: u64) -> usize {
        let rank = |member: &Member| {
            let index = member.node.index;
            let node = self.nodes.at(index)?;
            let latency = self.latency_or_max(near, index);
            let tie = self.nodes.tie(node).wrapping_sub(rotation);
            Some((latency, Reverse(node.spec.capabilities.count()), node.effective_permille(), tie, index))
        };
        (0..members.len()).min_by_key(|&position| rank(&members[position])).unwrap_or(0)
    }

    fn describe(&self, placed: &Resource<R>) -> Placement {
        let replicas: Vec<NodeRef> = placed.members.iter().map(|member| member.node).collect();
        let granted = count_u32(replicas.len());
        Placement {
            primary: placed.members.first().expect("a placed resource has a node").node,
            replicas,
            want: placed.want,
            granted,
            shortfall: placed.want.saturating_sub(granted),
            over_target: placed.over_target(),
            achieved: self.achieved(placed),
            seq: placed.seq,
        }
    }

    fn achieved(&self, placed: &Resource<R>) -> Tolerance {
        if let Some(roles) = &placed.roles {
            return self.roles_survival(placed, roles).0;
        }
        match (&placed.pieces, scheme_of(&placed.spec)) {
            (Pieces::None, Scheme::Copies) => self.copies_tolerance(placed.members.iter().map(|member| member.node)),
            (Pieces::None, _) => Tolerance::default(),
            _ => self.pieces_state(placed).tolerance,
        }
    }
}

fn count_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
