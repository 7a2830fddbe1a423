//! The state machine: nodes and reports in, placements and repairs out.

mod failover;
mod nodes;
mod pieces;
mod route;
mod select;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::time::Duration;

use crate::error::{AllocateError, RemoveError, ReportError};
use crate::id::{Id, seeded_hash};
use crate::placement::{ExpiredBooking, Placement, Tolerance};
use crate::policy::{ALLOCATE_MAX, Config, Policy};
use crate::scheme::{PIECE_BYTES, Scheme, scheme_of};
use crate::spec::{NodeRef, NodeReport, NodeSpec, ResourceSpec};
use crate::target::replica_target;
use crate::units::{Capacity, Permille, RegionId, Requirements};
use nodes::NodeTable;
pub use pieces::MAX_PIECES;
use pieces::Pieces;
pub(crate) use select::{Arrangement, arrangement};
use select::{Pick, Request};

/// Expired bookings kept for [`Allocator::poll_expired`]; of more than these the oldest are dropped.
const MAX_EXPIRED: usize = 4096;

/// A node of a resource.
#[derive(Clone, Copy, Debug)]
struct Member {
    node: NodeRef,
    over_target: bool,
    /// Bytes that the node's load or its bookings account for, at least `pieces` x piece size.
    covered_bytes: u64,
    /// Pieces of the resource on the node.
    pieces: u64,
}

#[derive(Clone, Debug)]
struct Resource {
    spec: ResourceSpec,
    near: Option<RegionId>,
    /// Where its order among equal nodes starts.
    rotation: u64,
    want: u32,
    floor: u32,
    /// The primary first; never empty.
    members: Vec<Member>,
    pieces: Pieces,
    seq: u64,
}

impl Resource {
    fn piece_bytes(&self) -> u64 {
        self.spec.size.min(PIECE_BYTES)
    }

    fn over_target(&self) -> u32 {
        count_u32(self.members.iter().filter(|member| member.over_target).count())
    }
}

/// Load of one node, as the allocator sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeLoad {
    /// What the node reported last; zero before its first report.
    pub reported: Permille,
    /// Load of placements that no report has counted yet, in thousandths.
    pub booked_permille: u32,
    /// `reported + booked_permille`: what decisions go by.
    pub effective_permille: u32,
    /// What is free, the bookings taken off.
    pub free: Capacity,
    /// Requests it was serving at its last report.
    pub inflight: u32,
    /// Bookings that no report has confirmed.
    pub bookings: usize,
    /// Resources it carries.
    pub resources: usize,
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
    nodes: NodeTable<N, R>,
    latencies: BTreeMap<(RegionId, RegionId), Duration>,
    resources: BTreeMap<R, Resource>,
    expired: VecDeque<ExpiredBooking<R>>,
}

impl<N: Id, R: Id> Allocator<N, R> {
    /// An allocator without nodes.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            now: Duration::ZERO,
            seq: 0,
            nodes: NodeTable::new(config.seed),
            latencies: BTreeMap::new(),
            resources: BTreeMap::new(),
            expired: VecDeque::new(),
        }
    }

    /// A node joins, or changes what it is. O(log n).
    ///
    /// A node that is known and healthy keeps its handle, replicas and reported load; what is booked on it becomes a share
    /// of the capacity it has now, O(b) more for its `b` bookings when that changed. One that had failed comes back empty,
    /// under a new handle. Until its first report a node counts as idle, with all of its capacity free.
    ///
    /// # Panics
    ///
    /// With 2^32 nodes in the mesh.
    pub fn upsert(&mut self, spec: NodeSpec<N>) -> NodeRef {
        self.nodes.upsert(spec)
    }

    /// The handle of a node, healthy or failed. O(log n).
    #[must_use]
    pub fn lookup(&self, id: &N) -> Option<NodeRef> {
        self.nodes.lookup(id)
    }

    /// Forgets a node that carries nothing. O(log n).
    ///
    /// # Errors
    ///
    /// [`RemoveError::InUse`] while it carries resources: a node that leaves with data is a failure, and
    /// [`Allocator::node_failed`] says what has to be moved. After that it can be removed.
    pub fn remove(&mut self, node: NodeRef) -> Result<(), RemoveError> {
        let resources = self.nodes.get(node).ok_or(RemoveError::UnknownNode)?.held.len();
        if resources > 0 {
            return Err(RemoveError::InUse { resources });
        }
        self.nodes.remove(node);
        Ok(())
    }

    /// A node says how loaded it is. Bookings that it counts are confirmed: from now on its own figure includes them.
    /// O(log n) and O(log n) per booking confirmed.
    ///
    /// # Errors
    ///
    /// [`ReportError::UnknownNode`] for a handle without a healthy node, [`ReportError::Outdated`] for a report that a
    /// newer one overtook, [`ReportError::FromTheFuture`] for one that counts what was never decided.
    pub fn report(&mut self, node: NodeRef, report: NodeReport, now: Duration) -> Result<(), ReportError> {
        let last = self.nodes.get_healthy(node).ok_or(ReportError::UnknownNode)?.last_seq;
        if report.seq < last {
            return Err(ReportError::Outdated { seq: report.seq, last });
        }
        if report.seq > self.seq {
            return Err(ReportError::FromTheFuture { seq: report.seq, last: self.seq });
        }
        self.advance(now);
        self.nodes.report(node, &report);
        Ok(())
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

    /// How many healthy nodes below half load meet the requirements, before anything is added. O(n).
    #[must_use]
    pub fn usable(&self, requires: &Requirements) -> usize {
        let below_half = (u32::from(ALLOCATE_MAX.value()), 0, 0);
        self.nodes
            .zones()
            .values()
            .flat_map(|keys| keys.range(..below_half))
            .filter(|&&(_, _, index)| self.nodes.at(index).is_some_and(|node| node.meets(requires)))
            .count()
    }

    /// How many nodes are healthy.
    #[must_use]
    pub fn healthy_count(&self) -> usize {
        self.nodes.healthy_count()
    }

    /// What a node is, healthy or failed.
    #[must_use]
    pub fn node(&self, node: NodeRef) -> Option<&NodeSpec<N>> {
        self.nodes.get(node).map(|node| &node.spec)
    }

    /// Whether the handle names a node that has not failed.
    #[must_use]
    pub fn is_healthy(&self, node: NodeRef) -> bool {
        self.nodes.get_healthy(node).is_some()
    }

    /// How loaded a healthy node is; `None` for any other handle.
    #[must_use]
    pub fn load(&self, node: NodeRef) -> Option<NodeLoad> {
        self.nodes.get_healthy(node).map(|node| NodeLoad {
            reported: node.reported,
            booked_permille: node.booked_permille,
            effective_permille: node.effective_permille(),
            free: node.free(),
            inflight: node.inflight,
            bookings: node.bookings.len(),
            resources: node.held.len(),
        })
    }

    /// The resources on a node, in ascending order.
    pub fn resources_on(&self, node: NodeRef) -> impl Iterator<Item = R> + '_ {
        self.nodes.get(node).into_iter().flat_map(|node| node.held.keys().copied())
    }

    /// Number of the last decision that booked anything; 0 before the first.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// Chooses the nodes of a resource and books its load on them at once.
    ///
    /// O((g + k) log n) for a count of `k` over `z` zones plus O(k z), where `g` is the number of nodes passed over because
    /// they lack a capability or the room. A blob that is cut up needs more of each node when fewer can take it: then nodes
    /// are counted again, at most `k` times. Classes that go by latency look at every node below half load.
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
        if let Some(placed) = self.resources.get(&resource) {
            return Err(AllocateError::AlreadyAllocated { granted: count_u32(placed.members.len()) });
        }
        if matches!(arrangement(&spec.class), Arrangement::Nearest { .. }) && policy.near.is_none() {
            return Err(AllocateError::NeedsConsumer);
        }
        self.advance(now);
        let target = replica_target(spec, &policy.tiers);
        let rotation = seeded_hash(!self.config.seed, resource.to_bytes().as_ref());
        let request =
            Request { spec, near: policy.near, rotation, want: target.want, floor: target.floor, members: &[] };
        let selection = self.select(&request);
        if selection.picks.is_empty() {
            return Err(AllocateError::NoUsableNode { want: target.want, healthy: self.nodes.healthy_count() });
        }
        let mut members = self.to_members(&selection.picks, selection.need);
        self.primary_first(&mut members, policy.near, rotation);
        self.seq += 1;
        self.book_all(resource, &selection.picks, selection.need);
        let placed = Resource {
            spec: *spec,
            near: policy.near,
            rotation,
            want: target.want,
            floor: target.floor,
            members,
            pieces: Pieces::None,
            seq: self.seq,
        };
        let placement = self.describe(&placed);
        self.resources.insert(resource, placed);
        Ok(placement)
    }

    /// Forgets a resource, its pieces and its bookings. What its nodes have reported already stays in their load until
    /// they report again. `false` when it was not known. O(k log n).
    pub fn release(&mut self, resource: &R) -> bool {
        let Some(placed) = self.resources.remove(resource) else { return false };
        for member in placed.members {
            self.nodes.let_go(member.node, resource);
        }
        true
    }

    /// Where a resource is now. O(pieces).
    #[must_use]
    pub fn placement(&self, resource: &R) -> Option<Placement> {
        self.resources.get(resource).map(|placed| self.describe(placed))
    }

    /// The resources that are placed, in ascending order.
    pub fn resources(&self) -> impl Iterator<Item = R> + '_ {
        self.resources.keys().copied()
    }

    /// When the next booking expires: the latest time for the next call with `now`.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Duration> {
        self.nodes.next_deadline()
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
        while let Some((node, seq, booking)) = self.nodes.pop_expired(self.now) {
            if let Some(placed) = self.resources.get_mut(&booking.resource) {
                let piece_bytes = placed.piece_bytes();
                for member in placed.members.iter_mut().filter(|member| member.node == node) {
                    // Pieces placed from now on are booked anew; those placed before are as good as counted.
                    let on_it = member.pieces.saturating_mul(piece_bytes);
                    member.covered_bytes = member.covered_bytes.saturating_sub(booking.need.bytes).max(on_it);
                }
            }
            if self.expired.len() == MAX_EXPIRED {
                self.expired.pop_front();
            }
            let load_permille = booking.load_permille;
            self.expired.push_back(ExpiredBooking { resource: booking.resource, node, seq, load_permille });
        }
    }

    fn to_members(&self, picks: &[Pick], need: Capacity) -> Vec<Member> {
        let member = |pick: &Pick| {
            let node = self.nodes.handle(pick.index)?;
            Some(Member { node, over_target: pick.over_target, covered_bytes: need.bytes, pieces: 0 })
        };
        picks.iter().filter_map(member).collect()
    }

    fn book_all(&mut self, resource: R, picks: &[Pick], need: Capacity) {
        let deadline = self.now.saturating_add(self.config.booking_ttl);
        for pick in picks {
            self.nodes.book(pick.index, self.seq, resource, pick.added_permille, need, deadline);
        }
    }

    /// Moves the best member to the front: the nearest, then the most capable, then the least loaded, then the tie
    /// order. The order of the others stays.
    fn primary_first(&self, members: &mut [Member], near: Option<RegionId>, rotation: u64) {
        let rank = |member: &Member| {
            let index = member.node.index;
            let node = self.nodes.at(index)?;
            let latency = self.latency_or_max(near, index);
            let tie = node.tie.wrapping_sub(rotation);
            Some((latency, Reverse(node.spec.capabilities.count()), node.effective_permille(), tie, index))
        };
        let best = (0..members.len()).min_by_key(|&position| rank(&members[position]));
        if let Some(best) = best {
            members[..=best].rotate_right(1);
        }
    }

    fn describe(&self, placed: &Resource) -> Placement {
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

    fn achieved(&self, placed: &Resource) -> Tolerance {
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
