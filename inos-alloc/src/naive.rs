//! The same decisions, made by scanning everything every time.
//!
//! This is the readable twin of [`Allocator`](crate::Allocator) for whole resources: no index, no cached sums, no shortcuts.
//! It is the oracle of the differential tests and the slow line of the benchmarks; nobody should run a mesh with it. It
//! does not place pieces or hierarchies: a blob above 10 GiB, whose nodes have roles, is none of its.

use alloc::vec::Vec;
use core::cmp::Reverse;
use core::time::Duration;

use crate::allocator::{Arrangement, GroupKey, arrangement, load_key};
use crate::error::AllocateError;
use crate::id::{Id, mix, seeded_hash};
use crate::policy::{ALLOCATE_MAX, BOOKING_TTL, Config, Policy, ROUTE_MAX};
use crate::scheme::{Part, Scheme, added_permille, need_per_node, scheme_of, share_permille};
use crate::spec::{NodeReport, NodeSpec, ResourceSpec};
use crate::target::replica_target;
use crate::trust::{Even, Given, Outcome, Trust};
use crate::units::{Capacity, RegionId, ZoneId};

#[derive(Clone, Debug)]
struct Node<N> {
    spec: NodeSpec<N>,
    healthy: bool,
    report: Option<NodeReport>,
    trust: Trust,
    /// As of the last time that something about it changed.
    key: u16,
}

#[derive(Clone, Debug)]
struct Booking<N, R> {
    resource: R,
    node: N,
    seq: u64,
    need: Capacity,
    /// Of the node's capacity now.
    load_permille: u32,
    deadline: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Member<N> {
    id: N,
    over_target: bool,
    /// What the resource was given on it.
    need: Capacity,
    /// Of an absent one: what it was given and had not counted.
    booked: Capacity,
}

#[derive(Clone, Debug)]
struct Resource<N, R> {
    id: R,
    spec: ResourceSpec,
    near: Option<RegionId>,
    want: u32,
    floor: u32,
    members: Vec<Member<N>>,
    absent: Vec<Member<N>>,
    /// Who had it and may come back, also when others have its place.
    former: Vec<Member<N>>,
    repair_at: Option<Duration>,
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
///
/// Nodes that are alike in all that counts are chosen by where they stand in an index, which this twin does not have. It
/// takes those that `like` names, where that is one of the right choices: it answers the same nodes as the allocator if
/// and only if each of the allocator's choices was right.
#[derive(Clone, Debug)]
pub struct NaiveAllocator<N, R> {
    config: Config,
    now: Duration,
    seq: u64,
    given: Given,
    /// Its mean when the present decision began.
    even: Even,
    nodes: Vec<Node<N>>,
    latencies: Vec<(RegionId, RegionId, Duration)>,
    bookings: Vec<Booking<N, R>>,
    resources: Vec<Resource<N, R>>,
}

struct Search<'a, N> {
    spec: &'a ResourceSpec,
    near: Option<RegionId>,
    rotation: u64,
    members: &'a [Member<N>],
    like: &'a [N],
}

/// What orders the nodes that can take a resource; the least is next.
type Rank = (u32, u32, u32, Duration, u16, u32, Option<GroupKey>, u64);

impl<N: Id, R: Id> NaiveAllocator<N, R> {
    /// As [`Allocator::new`](crate::Allocator::new).
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            now: Duration::ZERO,
            seq: 0,
            given: Given::default(),
            even: Even::default(),
            nodes: Vec::new(),
            latencies: Vec::new(),
            bookings: Vec::new(),
            resources: Vec::new(),
        }
    }

    /// As [`Allocator::upsert`](crate::Allocator::upsert).
    pub fn upsert(&mut self, spec: NodeSpec<N>) {
        match self.nodes.iter_mut().find(|node| node.spec.id == spec.id) {
            Some(node) if node.healthy => {
                let changed = node.spec.capacity != spec.capacity;
                node.spec = spec;
                for booking in self.bookings.iter_mut().filter(|booking| booking.node == spec.id && changed) {
                    // A share of what the node has now; all of it when it cannot hold that any more.
                    booking.load_permille = share_permille(booking.need, spec.capacity);
                }
            }
            Some(node) => {
                *node = Node { spec, healthy: true, report: None, ..*node };
                for placed in &mut self.resources {
                    placed.absent.retain(|member| member.id != spec.id);
                    placed.former.retain(|member| member.id != spec.id);
                }
            }
            None => {
                let trust = Trust::new(&self.config.trust);
                self.nodes.push(Node { spec, healthy: true, report: None, trust, key: 0 });
            }
        }
        self.settle(spec.id);
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
        let (policy, now) = (self.config.trust, self.now);
        let Some(at) = self.nodes.iter().position(|node| node.spec.id == id) else { return false };
        let node = &self.nodes[at];
        let booked = self.booked(node).fold(Capacity::default(), |sum, booking| sum.saturating_add(booking.need));
        let booked = Part::of(booked, node.spec.capacity);
        let counted = if booked.is_all() { 0 } else { self.carried(node).saturating_sub(booked).permille() };
        self.nodes[at].trust.report(report.load, counted, &policy, now);
        self.settle(id);
        true
    }

    /// As [`Allocator::observe_outcome`](crate::Allocator::observe_outcome).
    pub fn observe_outcome(&mut self, id: N, outcome: Outcome, now: Duration) -> bool {
        if !self.nodes.iter().any(|node| node.spec.id == id) {
            return false;
        }
        self.advance(now);
        let (policy, now) = (self.config.trust, self.now);
        for node in self.nodes.iter_mut().filter(|node| node.spec.id == id) {
            node.trust.observe(outcome, &policy, now);
        }
        self.settle(id);
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
        like: &[N],
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
        let rotation = self.rotation(id);
        let search = Search { spec, near: policy.near, rotation, members: &[], like };
        let (picks, need) = self.select(&search, target.want, target.floor);
        if picks.is_empty() {
            let healthy = self.nodes.iter().filter(|node| node.healthy).count();
            return Err(AllocateError::NoUsableNode { want: target.want, healthy });
        }
        let chosen = self.primary_first(picks, policy.near, rotation);
        let (near, want, floor) = (policy.near, target.want, target.floor);
        let (absent, former, repair_at) = (Vec::new(), Vec::new(), None);
        let members = Vec::new();
        self.resources.push(Resource { id, spec: *spec, near, want, floor, members, absent, former, repair_at });
        self.resources.sort_by_key(|placed| placed.id);
        self.seq += 1;
        self.book(id, chosen, need);
        self.placement(id).ok_or(AllocateError::NeedsConsumer)
    }

    /// As [`Allocator::placement`](crate::Allocator::placement).
    #[must_use]
    pub fn placement(&self, id: R) -> Option<NaivePlacement<N>> {
        let placed = self.resources.iter().find(|placed| placed.id == id && !placed.members.is_empty())?;
        let over = placed.members.iter().filter(|member| member.over_target).count();
        Some(NaivePlacement {
            replicas: placed.members.iter().map(|member| member.id).collect(),
            want: placed.want,
            over_target: u32::try_from(over).unwrap_or(u32::MAX),
        })
    }

    /// As [`Allocator::release`](crate::Allocator::release).
    pub fn release(&mut self, id: R) -> bool {
        self.bookings.retain(|booking| booking.resource != id);
        let Some(at) = self.resources.iter().position(|placed| placed.id == id) else { return false };
        for member in self.resources.remove(at).members {
            self.settle(member.id);
        }
        true
    }

    /// As [`Allocator::nodes_failed`](crate::Allocator::nodes_failed), for resources whose pieces were not placed. Answers
    /// the affected resources in the order of repair. `like` gives the nodes that a resource may be expected to have.
    pub fn nodes_failed(&mut self, ids: &[N], like: &impl Fn(R) -> Vec<N>, now: Duration) -> Vec<R> {
        self.advance(now);
        let mut failed = Vec::new();
        for node in self.nodes.iter_mut().filter(|node| node.healthy && ids.contains(&node.spec.id)) {
            node.healthy = false;
            failed.push(node.spec.id);
        }
        for booking in self.bookings.iter().filter(|booking| failed.contains(&booking.node)) {
            // It never came.
            let placed = self.resources.iter_mut().filter(|placed| placed.id == booking.resource);
            for member in placed.flat_map(|placed| &mut placed.members).filter(|member| member.id == booking.node) {
                member.need = member.need.saturating_sub(booking.need);
                member.booked = member.booked.saturating_add(booking.need);
            }
        }
        self.bookings.retain(|booking| !failed.contains(&booking.node));
        let mut affected = Vec::new();
        for position in 0..self.resources.len() {
            let placed = &mut self.resources[position];
            let (before, primary) = (placed.members.len(), placed.members.first().map(|member| member.id));
            let gone = || placed.members.iter().copied().filter(|member| failed.contains(&member.id));
            placed.absent.extend(gone());
            placed.former.extend(gone());
            placed.members.retain(|member| !failed.contains(&member.id));
            if placed.members.len() == before {
                continue;
            }
            let (gone, remaining) = Self::urgency(placed);
            affected.push((gone, remaining, placed.id));
            if primary.is_some_and(|primary| failed.contains(&primary)) {
                let (near, rotation) = (placed.near, self.rotation(self.resources[position].id));
                let members = self.primary_first(self.resources[position].members.clone(), near, rotation);
                self.resources[position].members = members;
            }
        }
        affected.sort_unstable();
        for &(_, _, id) in &affected {
            let Some(placed) = self.resources.iter_mut().find(|placed| placed.id == id) else { continue };
            let have = u32::try_from(placed.members.len()).unwrap_or(u32::MAX);
            let recruit_below = self.config.recruit_below.unwrap_or(5);
            let urgent = have < placed.floor.min(placed.want) || have < recruit_below.min(placed.want);
            if Self::urgency(placed).0 {
                // It waits for who has it.
                placed.repair_at = None;
            } else if urgent || self.config.grace == Duration::ZERO {
                self.recruit(id, &like(id));
            } else {
                placed.repair_at = placed.repair_at.or(Some(self.now.saturating_add(self.config.grace)));
            }
        }
        affected.into_iter().map(|(_, _, id)| id).collect()
    }

    /// As [`Allocator::repair`](crate::Allocator::repair) without a bound.
    pub fn repair(&mut self, like: &impl Fn(R) -> Vec<N>, now: Duration) {
        self.advance(now);
        let due = self.resources.iter().filter(|placed| placed.repair_at.is_some_and(|at| at <= self.now));
        let mut due: Vec<_> = due.map(|placed| (Self::urgency(placed), placed.id)).collect();
        due.sort_unstable();
        for (_, id) in due {
            self.recruit(id, &like(id));
        }
    }

    /// As [`Allocator::node_returned`](crate::Allocator::node_returned); the resources it kept.
    pub fn node_returned(&mut self, id: N, now: Duration) -> Option<Vec<R>> {
        let at = self.nodes.iter().position(|node| node.spec.id == id && !node.healthy)?;
        self.advance(now);
        self.nodes[at].healthy = true;
        let mut kept = Vec::new();
        let mut returned = Vec::new();
        for placed in &mut self.resources {
            let is_absent = placed.absent.iter().any(|member| member.id == id);
            placed.absent.retain(|member| member.id != id);
            let Some(at) = placed.former.iter().position(|member| member.id == id) else { continue };
            let Member { over_target, need, booked, .. } = placed.former.swap_remove(at);
            let (was_lost, have) = (placed.members.is_empty(), u32::try_from(placed.members.len()).unwrap_or(u32::MAX));
            if was_lost || is_absent && have < placed.want {
                let over_target = over_target && is_absent;
                placed.members.push(Member { id, over_target, need, booked: Capacity::default() });
                kept.push(placed.id);
                if booked != Capacity::default() {
                    returned.push((placed.id, booked));
                }
                if have + 1 >= placed.want && placed.absent.is_empty() {
                    placed.repair_at = None;
                } else if !is_absent {
                    let grace = self.config.grace;
                    let again = if grace == Duration::ZERO { BOOKING_TTL } else { grace };
                    placed.repair_at = Some(self.now.saturating_add(again));
                } else {
                    placed.repair_at = placed.repair_at.filter(|_| !was_lost).or(Some(self.now));
                }
            }
        }
        self.seq += u64::from(!returned.is_empty());
        for (resource, need) in returned {
            self.book_on(resource, id, need);
        }
        self.settle(id);
        Some(kept)
    }

    fn urgency(placed: &Resource<N, R>) -> (bool, usize) {
        let whole = matches!(scheme_of(&placed.spec), Scheme::Copies);
        (placed.members.is_empty(), if whole { placed.members.len().saturating_sub(1) } else { 0 })
    }

    fn rotation(&self, id: R) -> u64 {
        seeded_hash(!self.config.seed, id.to_bytes().as_ref())
    }

    fn recruit(&mut self, id: R, like: &[N]) {
        let Some(position) = self.resources.iter().position(|placed| placed.id == id) else { return };
        let placed = self.resources[position].clone();
        let rotation = self.rotation(id);
        let search = Search { spec: &placed.spec, near: placed.near, rotation, members: &placed.members, like };
        let (mut recruits, need) = self.select(&search, placed.want, placed.floor);
        if placed.members.is_empty() {
            recruits = self.primary_first(recruits, placed.near, rotation);
        }
        self.seq += u64::from(!recruits.is_empty());
        self.book(id, recruits, need);
        let now = self.now;
        let placed = &mut self.resources[position];
        if u32::try_from(placed.members.len()).is_ok_and(|have| have >= placed.want) {
            placed.absent.clear();
            placed.repair_at = None;
        } else {
            let grace = self.config.grace;
            let again = if grace == Duration::ZERO { BOOKING_TTL } else { grace };
            placed.repair_at = Some(now.saturating_add(again));
        }
    }

    fn advance(&mut self, now: Duration) {
        self.now = self.now.max(now);
        let open = self.nodes.iter().filter(|node| node.healthy && node.key < ALLOCATE_MAX.value()).count();
        self.even = self.given.even(open, &self.config.trust, self.now);
        let (now, policy) = (self.now, self.config.trust);
        let (expired, kept) = self.bookings.drain(..).partition(|booking| booking.deadline <= now);
        self.bookings = kept;
        for booking in expired {
            let placed = self.resources.iter_mut().filter(|placed| placed.id == booking.resource);
            for member in placed.flat_map(|placed| &mut placed.members).filter(|member| member.id == booking.node) {
                member.need = member.need.saturating_sub(booking.need);
            }
            for node in self.nodes.iter_mut().filter(|node| node.spec.id == booking.node) {
                node.trust.fall(&policy);
            }
            self.settle(booking.node);
        }
    }

    /// Ranks a node anew, after something about it changed.
    fn settle(&mut self, id: N) {
        let Some(at) = self.nodes.iter().position(|node| node.spec.id == id) else { return };
        let node = &self.nodes[at];
        let (carried, spent) = (self.carried(node).permille(), node.trust.is_spent(self.even));
        self.nodes[at].key = load_key(self.effective(node), carried, node.trust.handicap_permille(), spent);
    }

    /// What a node was given.
    fn carried(&self, node: &Node<N>) -> Part {
        let members = self.resources.iter().flat_map(|placed| &placed.members);
        let on_it = members.filter(|member| member.id == node.spec.id);
        on_it.fold(Part::default(), |sum, member| sum.saturating_add(Part::of(member.need, node.spec.capacity)))
    }

    fn effective(&self, node: &Node<N>) -> u32 {
        let booked: u32 = self.booked(node).map(|booking| booking.load_permille).sum();
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
        let last_mile = node.report.map_or(0, |report| u32::try_from(report.last_mile.as_micros()).unwrap_or(u32::MAX));
        Some(between?.saturating_add(Duration::from_micros(u64::from(last_mile))))
    }

    fn tie(&self, node: &Node<N>, rotation: u64) -> u64 {
        seeded_hash(self.config.seed, node.spec.id.to_bytes().as_ref()).wrapping_sub(rotation)
    }

    fn book(&mut self, id: R, members: Vec<Member<N>>, need: Capacity) {
        for member in members {
            for placed in self.resources.iter_mut().filter(|placed| placed.id == id) {
                placed.members.push(member);
            }
            for node in self.nodes.iter_mut().filter(|node| node.spec.id == member.id) {
                let given = Part::of(need, node.spec.capacity).millionths();
                node.trust.give(given, &self.config.trust, self.now);
                self.given.add(given);
            }
            self.book_on(id, member.id, need);
        }
    }

    fn book_on(&mut self, resource: R, id: N, need: Capacity) {
        let deadline = self.now.saturating_add(self.config.booking_ttl);
        let Some(node) = self.nodes.iter().find(|node| node.spec.id == id) else { return };
        let load_permille = share_permille(need, node.spec.capacity);
        self.bookings.push(Booking { resource, node: id, seq: self.seq, need, load_permille, deadline });
        let members =
            self.resources.iter_mut().filter(|placed| placed.id == resource).flat_map(|placed| &mut placed.members);
        for member in members.filter(|member| member.id == id) {
            member.need = member.need.saturating_add(need);
        }
        self.settle(id);
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
                && !search.members.iter().any(|member| member.id == node.spec.id)
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

    fn select(&self, search: &Search<'_, N>, want: u32, floor: u32) -> (Vec<Member<N>>, Capacity) {
        let (half, most) = (u32::from(ALLOCATE_MAX.value()), u32::from(ROUTE_MAX.value()));
        let mut total = self.largest(search, want, half);
        let floor = floor.min(want);
        if total < floor {
            total = total.max(self.largest(search, floor, most));
        }
        let need = need_per_node(search.spec, total);
        let missing = usize::try_from(total).unwrap_or(usize::MAX).saturating_sub(search.members.len());
        let mut picks: Vec<Member<N>> = Vec::new();
        let by_class = arrangement(&search.spec.class);
        for (limit, order) in [(half, by_class), (most, Arrangement::Idle)] {
            let over_target = limit == most;
            let mut candidates = self.fitting(search, need, limit);
            candidates.retain(|node| !picks.iter().any(|pick| pick.id == node.spec.id));
            let before = picks.len();
            while picks.len() < missing {
                // What was taken below half load does not count for the order above it.
                let counted = if over_target { &picks[before..] } else { &picks };
                let rank = |&position: &usize| {
                    let node: &Node<N> = candidates[position];
                    let liked = search.like.iter().position(|&id| id == node.spec.id);
                    (self.rank(search, order, counted, node), liked.unwrap_or(usize::MAX))
                };
                let Some(best) = (0..candidates.len()).min_by_key(rank) else { break };
                let id = candidates.swap_remove(best).spec.id;
                picks.push(Member { id, over_target, need: Capacity::default(), booked: Capacity::default() });
            }
        }
        (picks, need)
    }

    fn rank(&self, search: &Search<'_, N>, order: Arrangement, picks: &[Member<N>], node: &Node<N>) -> Rank {
        let region = node.spec.region;
        let zone: (RegionId, ZoneId) = (region, node.spec.zone);
        let chosen = || {
            let ids = search.members.iter().chain(picks).map(|pick| pick.id);
            ids.filter_map(|id| self.nodes.iter().find(|node| node.spec.id == id))
        };
        let count = |matching: usize| u32::try_from(matching).unwrap_or(u32::MAX);
        let in_region = count(chosen().filter(|taken| taken.spec.region == region).count());
        let in_zone = count(chosen().filter(|taken| (taken.spec.region, taken.spec.zone) == zone).count());
        let load = u32::from(node.key);
        let group = GroupKey::new(zone, node.spec.capabilities, node.spec.capacity);
        let bytes = (u64::from(region.0) << 32 | u64::from(zone.1.0)).to_le_bytes();
        let zone_tie = mix(seeded_hash(self.config.seed, &bytes) ^ search.rotation) >> 32;
        let zone_tie = u32::try_from(zone_tie).unwrap_or(u32::MAX);
        match order {
            Arrangement::Spread => (in_region, in_zone, load, Duration::ZERO, 0, zone_tie, Some(group), 0),
            Arrangement::Idle => (load, in_zone, 0, Duration::ZERO, 0, zone_tie, Some(group), 0),
            Arrangement::Nearest { .. } => {
                let latency = self.latency(search.near, node).unwrap_or(Duration::MAX);
                (0, 0, 0, latency, node.key, 0, None, self.tie(node, search.rotation))
            }
        }
    }

    fn primary_first(&self, mut members: Vec<Member<N>>, near: Option<RegionId>, rotation: u64) -> Vec<Member<N>> {
        let best = self.nodes.iter().filter(|node| members.iter().any(|member| member.id == node.spec.id)).min_by_key(
            |node| {
                let latency = self.latency(near, node).unwrap_or(Duration::MAX);
                (latency, Reverse(node.spec.capabilities.count()), self.effective(node), self.tie(node, rotation))
            },
        );
        if let Some(position) = best.and_then(|best| members.iter().position(|member| member.id == best.spec.id)) {
            let primary = members.remove(position);
            members.insert(0, primary);
        }
        members
    }
}
