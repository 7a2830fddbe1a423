//! The same decisions, made by scanning everything every time.
//!
//! This is the readable twin of [`Allocator`](crate::Allocator) for whole resources: no index, no cached sums, no shortcuts.
//! It is the oracle of the differential tests and the slow line of the benchmarks; nobody should run a mesh with it. It
//! does not place pieces.

use alloc::vec::Vec;
use core::cmp::Reverse;
use core::time::Duration;

use crate::allocator::{Arrangement, arrangement};
use crate::error::AllocateError;
use crate::id::{Id, seeded_hash};
use crate::policy::{ALLOCATE_MAX, Config, Policy, ROUTE_MAX};
use crate::scheme::{Scheme, added_permille, need_per_node, scheme_of};
use crate::spec::{NodeReport, NodeSpec, ResourceSpec};
use crate::target::replica_target;
use crate::units::{Capacity, RegionId, ZoneId};

#[derive(Clone, Debug)]
struct Node<N> {
    spec: NodeSpec<N>,
    healthy: bool,
    report: Option<NodeReport>,
}

#[derive(Clone, Debug)]
struct Booking<N, R> {
    resource: R,
    node: N,
    seq: u64,
    need: Capacity,
    deadline: Duration,
}

#[derive(Clone, Debug)]
struct Resource<N, R> {
    id: R,
    spec: ResourceSpec,
    near: Option<RegionId>,
    want: u32,
    floor: u32,
    members: Vec<(N, bool)>,
}

/// The answer of the naive twin: ids instead of handles, the primary first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NaivePlacement<N> {
    /// The nodes, the primary first.
    pub replicas: Vec<N>,
    /// The count the resource deserves.
    pub want: u32,
    /// Nodes taken above half load to reach the floor.
    pub over_target: u32,
}

/// The readable twin of [`Allocator`](crate::Allocator). Every call is O(everything).
#[derive(Clone, Debug)]
pub struct NaiveAllocator<N, R> {
    config: Config,
    now: Duration,
    seq: u64,
    nodes: Vec<Node<N>>,
    latencies: Vec<(RegionId, RegionId, Duration)>,
    bookings: Vec<Booking<N, R>>,
    resources: Vec<Resource<N, R>>,
}

struct Search<'a, N> {
    spec: &'a ResourceSpec,
    near: Option<RegionId>,
    rotation: u64,
    members: &'a [(N, bool)],
}

impl<N: Id, R: Id> NaiveAllocator<N, R> {
    /// As [`Allocator::new`](crate::Allocator::new).
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            now: Duration::ZERO,
            seq: 0,
            nodes: Vec::new(),
            latencies: Vec::new(),
            bookings: Vec::new(),
            resources: Vec::new(),
        }
    }

    /// As [`Allocator::upsert`](crate::Allocator::upsert).
    pub fn upsert(&mut self, spec: NodeSpec<N>) {
        match self.nodes.iter_mut().find(|node| node.spec.id == spec.id) {
            Some(node) if node.healthy => node.spec = spec,
            Some(node) => *node = Node { spec, healthy: true, report: None },
            None => self.nodes.push(Node { spec, healthy: true, report: None }),
        }
    }

    /// As [`Allocator::set_latency`](crate::Allocator::set_latency).
    pub fn set_latency(&mut self, a: RegionId, b: RegionId, round_trip: Duration) {
        self.latencies.insert(0, (a.min(b), a.max(b), round_trip));
    }

    /// As [`Allocator::report`](crate::Allocator::report); whether the report was taken.
    pub fn report(&mut self, id: N, report: NodeReport, now: Duration) -> bool {
        let Some(node) = self.nodes.iter_mut().find(|node| node.spec.id == id && node.healthy) else { return false };
        if report.seq > self.seq || node.report.is_some_and(|last| report.seq < last.seq) {
            return false;
        }
        node.report = Some(report);
        self.advance(now);
        self.bookings.retain(|booking| booking.node != id || booking.seq > report.seq);
        true
    }

    /// Effective load of a healthy node in thousandths.
    #[must_use]
    pub fn effective_permille(&self, id: N) -> Option<u32> {
        let node = self.nodes.iter().find(|node| node.spec.id == id && node.healthy)?;
        Some(self.effective(node))
    }

    /// As [`Allocator::allocate`](crate::Allocator::allocate).
    ///
    /// # Errors
    ///
    /// The same.
    pub fn allocate(
        &mut self,
        id: R,
        spec: &ResourceSpec,
        policy: &Policy,
        now: Duration,
    ) -> Result<NaivePlacement<N>, AllocateError> {
        if let Some(placed) = self.resources.iter().find(|placed| placed.id == id) {
            return Err(AllocateError::AlreadyAllocated {
                granted: u32::try_from(placed.members.len()).unwrap_or(u32::MAX),
            });
        }
        if matches!(arrangement(&spec.class), Arrangement::Nearest { .. }) && policy.near.is_none() {
            return Err(AllocateError::NeedsConsumer);
        }
        self.advance(now);
        let target = replica_target(spec, &policy.tiers);
        let rotation = seeded_hash(!self.config.seed, id.to_bytes().as_ref());
        let search = Search { spec, near: policy.near, rotation, members: &[] };
        let (picks, need) = self.select(&search, target.want, target.floor);
        if picks.is_empty() {
            let healthy = self.nodes.iter().filter(|node| node.healthy).count();
            return Err(AllocateError::NoUsableNode { want: target.want, healthy });
        }
        let members = self.primary_first(picks.clone(), policy.near, rotation);
        self.seq += 1;
        self.book(id, &picks, need);
        let (near, want, floor) = (policy.near, target.want, target.floor);
        self.resources.push(Resource { id, spec: *spec, near, want, floor, members });
        self.resources.sort_by_key(|placed| placed.id);
        self.placement(id).ok_or(AllocateError::NeedsConsumer)
    }

    /// As [`Allocator::placement`](crate::Allocator::placement).
    #[must_use]
    pub fn placement(&self, id: R) -> Option<NaivePlacement<N>> {
        let placed = self.resources.iter().find(|placed| placed.id == id)?;
        let over = placed.members.iter().filter(|member| member.1).count();
        Some(NaivePlacement {
            replicas: placed.members.iter().map(|member| member.0).collect(),
            want: placed.want,
            over_target: u32::try_from(over).unwrap_or(u32::MAX),
        })
    }

    /// As [`Allocator::release`](crate::Allocator::release).
    pub fn release(&mut self, id: R) -> bool {
        self.bookings.retain(|booking| booking.resource != id);
        let before = self.resources.len();
        self.resources.retain(|placed| placed.id != id);
        self.resources.len() < before
    }

    /// As [`Allocator::nodes_failed`](crate::Allocator::nodes_failed), for resources whose pieces were not placed. Answers
    /// the affected resources in the order of repair.
    pub fn nodes_failed(&mut self, ids: &[N], now: Duration) -> Vec<R> {
        self.advance(now);
        let mut failed = Vec::new();
        for node in self.nodes.iter_mut().filter(|node| node.healthy && ids.contains(&node.spec.id)) {
            node.healthy = false;
            failed.push(node.spec.id);
        }
        self.bookings.retain(|booking| !failed.contains(&booking.node));
        let mut affected = Vec::new();
        for placed in &mut self.resources {
            let (before, primary) = (placed.members.len(), placed.members[0].0);
            placed.members.retain(|member| !failed.contains(&member.0));
            if placed.members.len() < before {
                let whole = matches!(scheme_of(&placed.spec), Scheme::Copies);
                let left = if whole { placed.members.len() } else { 1 };
                affected.push((left == 0, left.saturating_sub(1), placed.id, primary));
            }
        }
        affected.sort_by_key(|&(gone, remaining, id, _)| (gone, remaining, id));
        for &(_, _, id, primary) in &affected {
            self.recruit(id, primary);
        }
        affected.into_iter().map(|(_, _, id, _)| id).collect()
    }

    fn recruit(&mut self, id: R, primary: N) {
        let Some(position) = self.resources.iter().position(|placed| placed.id == id) else { return };
        let placed = self.resources[position].clone();
        let rotation = seeded_hash(!self.config.seed, id.to_bytes().as_ref());
        let search = Search { spec: &placed.spec, near: placed.near, rotation, members: &placed.members };
        let (recruits, need) = self.select(&search, placed.want, placed.floor);
        let keeps_primary = placed.members.first().is_some_and(|member| member.0 == primary);
        let mut members = if keeps_primary {
            placed.members.clone()
        } else {
            self.primary_first(placed.members.clone(), placed.near, rotation)
        };
        members.extend(recruits.clone());
        if placed.members.is_empty() {
            members = self.primary_first(members, placed.near, rotation);
        }
        self.seq += 1;
        self.book(id, &recruits, need);
        if members.is_empty() {
            self.resources.remove(position);
        } else {
            self.resources[position].members = members;
        }
    }

    fn advance(&mut self, now: Duration) {
        self.now = self.now.max(now);
        let now = self.now;
        self.bookings.retain(|booking| booking.deadline > now);
    }

    fn effective(&self, node: &Node<N>) -> u32 {
        // A share of what the node has now; all of it when it cannot hold that any more.
        let share = |booking: &Booking<N, R>| {
            added_permille(booking.need, node.spec.capacity).map_or(1000, |share| share.min(1000))
        };
        let booked: u32 = self.booked(node).map(share).sum();
        node.report.map_or(0, |report| u32::from(report.load.value())) + booked
    }

    fn booked(&self, node: &Node<N>) -> impl Iterator<Item = &Booking<N, R>> {
        let id = node.spec.id;
        self.bookings.iter().filter(move |booking| booking.node == id)
    }

    fn free(&self, node: &Node<N>) -> Capacity {
        let available = node.report.map_or(node.spec.capacity, |report| report.available.min(node.spec.capacity));
        self.booked(node).fold(available, |free, booking| free.saturating_sub(booking.need))
    }

    fn latency(&self, near: Option<RegionId>, node: &Node<N>) -> Option<Duration> {
        let Some(near) = near else { return Some(Duration::ZERO) };
        let (low, high) = (near.min(node.spec.region), near.max(node.spec.region));
        let set = self.latencies.iter().find(|&&(a, b, _)| (a, b) == (low, high)).map(|&(_, _, latency)| latency);
        let between = if low == high { set.or(Some(Duration::ZERO)) } else { set };
        Some(between?.saturating_add(node.report.map_or(Duration::ZERO, |report| report.last_mile)))
    }

    fn tie(&self, node: &Node<N>, rotation: u64) -> u64 {
        seeded_hash(self.config.seed, node.spec.id.to_bytes().as_ref()).wrapping_sub(rotation)
    }

    fn book(&mut self, resource: R, picks: &[(N, bool)], need: Capacity) {
        let deadline = self.now.saturating_add(self.config.booking_ttl);
        for &(id, _) in picks {
            self.bookings.push(Booking { resource, node: id, seq: self.seq, need, deadline });
        }
    }

    fn fitting(&self, search: &Search<'_, N>, need: Capacity, limit_permille: u32) -> Vec<&Node<N>> {
        let fits = |node: &&Node<N>| {
            let below = match arrangement(&search.spec.class) {
                Arrangement::Nearest { below: Some(below) } => {
                    self.latency(search.near, node).is_some_and(|latency| latency < below)
                }
                _ => true,
            };
            let free = self.free(node);
            let added = added_permille(need, node.spec.capacity);
            node.healthy
                && !search.members.iter().any(|member| member.0 == node.spec.id)
                && node.spec.capabilities.contains(search.spec.requires.capabilities)
                && free.covers(need)
                && below
                && added
                    .is_some_and(|added| u64::from(self.effective(node)) + u64::from(added) < u64::from(limit_permille))
        };
        self.nodes.iter().filter(fits).collect()
    }

    fn largest(&self, search: &Search<'_, N>, most: u32, limit_permille: u32) -> u32 {
        let have = u32::try_from(search.members.len()).unwrap_or(u32::MAX);
        let enough = |&count: &u32| {
            let fitting = self.fitting(search, need_per_node(search.spec, count), limit_permille).len();
            u64::try_from(fitting).unwrap_or(u64::MAX) + u64::from(have) >= u64::from(count)
        };
        (have + 1..=most).rev().find(enough).unwrap_or(have)
    }

    fn select(&self, search: &Search<'_, N>, want: u32, floor: u32) -> (Vec<(N, bool)>, Capacity) {
        let (half, most) = (u32::from(ALLOCATE_MAX.value()), u32::from(ROUTE_MAX.value()));
        let mut total = self.largest(search, want, half);
        let floor = floor.min(want);
        if total < floor {
            total = total.max(self.largest(search, floor, most));
        }
        let need = need_per_node(search.spec, total);
        let missing = usize::try_from(total).unwrap_or(usize::MAX).saturating_sub(search.members.len());
        let mut picks: Vec<(N, bool)> = Vec::new();
        let mut candidates = self.fitting(search, need, half);
        while picks.len() < missing && !candidates.is_empty() {
            let rank = |&position: &usize| self.rank(search, &picks, candidates[position]);
            let Some(best) = (0..candidates.len()).min_by_key(rank) else { break };
            picks.push((candidates.swap_remove(best).spec.id, false));
        }
        let mut candidates = self.fitting(search, need, most);
        candidates.retain(|node| !picks.iter().any(|pick| pick.0 == node.spec.id));
        candidates.sort_by_key(|node| (self.effective(node), self.tie(node, search.rotation)));
        for node in candidates.into_iter().take(missing.saturating_sub(picks.len())) {
            picks.push((node.spec.id, true));
        }
        (picks, need)
    }

    fn rank(&self, search: &Search<'_, N>, picks: &[(N, bool)], node: &Node<N>) -> (usize, usize, Duration, u32, u64) {
        let chosen = || {
            let ids = search.members.iter().chain(picks).map(|pick| pick.0);
            ids.filter_map(|id| self.nodes.iter().find(|node| node.spec.id == id))
        };
        let region = node.spec.region;
        let zone: (RegionId, ZoneId) = (region, node.spec.zone);
        let (in_region, in_zone, latency) = match arrangement(&search.spec.class) {
            Arrangement::Idle => (0, 0, Duration::ZERO),
            Arrangement::Nearest { .. } => (0, 0, self.latency(search.near, node).unwrap_or(Duration::MAX)),
            Arrangement::Spread => (
                chosen().filter(|taken| taken.spec.region == region).count(),
                chosen().filter(|taken| (taken.spec.region, taken.spec.zone) == zone).count(),
                Duration::ZERO,
            ),
        };
        (in_region, in_zone, latency, self.effective(node), self.tie(node, search.rotation))
    }

    fn primary_first(&self, mut members: Vec<(N, bool)>, near: Option<RegionId>, rotation: u64) -> Vec<(N, bool)> {
        let best =
            self.nodes.iter().filter(|node| members.iter().any(|member| member.0 == node.spec.id)).min_by_key(|node| {
                let latency = self.latency(near, node).unwrap_or(Duration::MAX);
                (latency, Reverse(node.spec.capabilities.count()), self.effective(node), self.tie(node, rotation))
            });
        if let Some(position) = best.and_then(|best| members.iter().position(|member| member.0 == best.spec.id)) {
            let primary = members.remove(position);
            members.insert(0, primary);
        }
        members
    }
}
