//! Which nodes take a resource.

use alloc::collections::binary_heap::PeekMut;
use alloc::collections::{BTreeMap, BTreeSet, BinaryHeap};
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::time::Duration;

use super::index::{Step, Zone};
use super::nodes::Node;
use super::{Allocator, Member, count_u32};
use crate::id::{Id, mix};
use crate::policy::{ALLOCATE_MAX, ROUTE_MAX, STREAM_LATENCY_BELOW, Select, Weights};
use crate::scheme::{Scheme, added_permille, need_per_node, scheme_of};
use crate::spec::{Class, ResourceSpec};
use crate::target::FAST_STATE_UPDATES_PER_SECOND;
use crate::units::{Capacity, RegionId};

/// Nodes of a zone that are compared when more than load counts.
const POOL: usize = 32;
/// Draws for one choice of two before the whole zone is walked instead.
const DRAWS: u32 = 32;
/// A round trip that counts in full.
const LATENCY_FULL: Duration = Duration::from_millis(500);

/// The order in which a class takes nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrangement {
    /// The region with the fewest first, then the zone with the fewest, then the least loaded.
    Spread,
    /// The least loaded first.
    Idle,
    /// The nearest first, then the least loaded; only below a latency when there is one.
    Nearest { below: Option<Duration> },
}

pub(crate) const fn arrangement(class: &Class) -> Arrangement {
    match class {
        Class::Blob | Class::Group | Class::Storage { .. } => Arrangement::Spread,
        Class::Compute => Arrangement::Idle,
        Class::Stream { .. } => Arrangement::Nearest { below: Some(STREAM_LATENCY_BELOW) },
        Class::State { updates_per_second, .. } => {
            if *updates_per_second > FAST_STATE_UPDATES_PER_SECOND {
                Arrangement::Nearest { below: None }
            } else {
                Arrangement::Spread
            }
        }
    }
}

/// What is looked for.
pub(super) struct Request<'a> {
    pub(super) spec: &'a ResourceSpec,
    pub(super) near: Option<RegionId>,
    pub(super) select: Select,
    pub(super) weights: Weights,
    /// Where the order among equals starts, so that resources start at different nodes.
    pub(super) rotation: u64,
    pub(super) want: u32,
    pub(super) floor: u32,
    /// Nodes it has.
    pub(super) members: &'a [Member],
    /// A node it may not have.
    pub(super) except: Option<u32>,
    /// What each node has to give, when that is not a matter of how many there are.
    pub(super) need: Option<Capacity>,
    /// The only zone to look in.
    pub(super) within: Option<Zone>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Pick {
    pub(super) index: u32,
    pub(super) added_permille: u32,
    pub(super) over_target: bool,
}

pub(super) struct Selection {
    pub(super) picks: Vec<Pick>,
    /// What each pick has to give.
    pub(super) need: Capacity,
}

/// One attempt: this need, below this load, not these nodes.
struct Filter<'a> {
    spec: &'a ResourceSpec,
    near: Option<RegionId>,
    below: Option<Duration>,
    need: Capacity,
    limit_permille: u16,
    taken: &'a BTreeSet<u32>,
    within: Option<Zone>,
}

/// A walk through one group.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    group: u32,
    zone: usize,
    step: Step,
}

/// A walk through one group that may not have begun.
#[derive(Clone, Copy, Debug)]
struct Lane {
    group: u32,
    zone: usize,
    /// Of the next node.
    key: u16,
    /// Where the walk is, once it has begun.
    step: Option<Step>,
}

/// Memory of one choice, kept for the next.
#[derive(Clone, Debug, Default)]
pub(super) struct Scratch {
    lanes: Vec<Lane>,
    heap: Vec<Reverse<(u128, usize)>>,
    counts: Counts,
}

/// How many nodes of the resource are in each zone and region, and the zones' order among equals.
#[derive(Clone, Debug, Default)]
struct Counts {
    zones: Vec<ZoneCount>,
    regions: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct ZoneCount {
    region: usize,
    taken: u32,
    tie: u32,
}

impl Counts {
    fn take(&mut self, zone: usize) {
        self.zones[zone].taken += 1;
        self.regions[self.zones[zone].region] += 1;
    }

    /// Position in the order of the class; the least goes next. `value` is the load key or another figure below 2^16.
    fn rank(&self, order: Arrangement, zone: usize, value: u16, ordinal: usize) -> u128 {
        let ZoneCount { region, taken, tie } = self.zones[zone];
        let value = u128::from(value);
        let in_region = u128::from(self.regions[region].min(0xff_ffff));
        let in_zone = u128::from(taken.min(0xff_ffff));
        let spread = in_region << 24 | in_zone;
        let main = if order == Arrangement::Spread { spread << 16 | value } else { value << 48 | in_zone };
        let ordinal = u128::try_from(ordinal).unwrap_or(u128::MAX) & 0xff_ffff;
        main << 56 | u128::from(tie) << 24 | ordinal
    }
}

impl<N: Id, R: Id> Allocator<N, R> {
    /// The nodes to add to `request.members`: as many as stay below half load, up to `want`; up to `route_max` when
    /// that is below the floor.
    pub(super) fn select(&self, request: &Request<'_>) -> Selection {
        self.select_with(request, &mut Scratch::default())
    }

    /// As [`Allocator::select`], in memory that the caller keeps.
    pub(super) fn select_with(&self, request: &Request<'_>, scratch: &mut Scratch) -> Selection {
        let have = count_u32(request.members.len());
        let mut taken: BTreeSet<u32> = request.members.iter().map(|member| member.node.index).collect();
        taken.extend(request.except);
        let (half, most) = (ALLOCATE_MAX.value(), ROUTE_MAX.value());
        let floor = request.floor.min(request.want);
        let filter = self.filter(request, &taken, request.want, half);
        let picks = self.pick(scratch, request, &filter, request.want.saturating_sub(have), Arranged::ByClass);
        let mut total = have.saturating_add(count_u32(picks.len()));
        let needs_the_same = request.need.is_some() || matches!(scheme_of(request.spec), Scheme::Copies);
        if total >= request.want || needs_the_same && total >= floor {
            return Selection { need: filter.need, picks };
        }
        if !needs_the_same {
            total = self.largest_count(request, &taken, have, total, half);
            if total >= floor {
                let filter = self.filter(request, &taken, total, half);
                let picks = self.pick(scratch, request, &filter, total.saturating_sub(have), Arranged::ByClass);
                return Selection { need: filter.need, picks };
            }
        }
        let wide = self.largest_count(request, &taken, have, floor, most).max(total);
        let filter = self.filter(request, &taken, wide, half);
        let mut picks = self.pick(scratch, request, &filter, wide.saturating_sub(have), Arranged::ByClass);
        let mut taken_too = taken.clone();
        taken_too.extend(picks.iter().map(|pick| pick.index));
        let rest = self.filter(request, &taken_too, wide, most);
        let missing = wide.saturating_sub(have).saturating_sub(count_u32(picks.len()));
        let filled = self.pick(scratch, request, &rest, missing, Arranged::ByLoad);
        picks.extend(filled.into_iter().map(|pick| Pick { over_target: true, ..pick }));
        Selection { need: filter.need, picks }
    }

    fn filter<'a>(
        &self,
        request: &Request<'a>,
        taken: &'a BTreeSet<u32>,
        total: u32,
        limit_permille: u16,
    ) -> Filter<'a> {
        let below = match arrangement(&request.spec.class) {
            Arrangement::Nearest { below } => below,
            Arrangement::Spread | Arrangement::Idle => None,
        };
        let need = request.need.unwrap_or_else(|| need_per_node(request.spec, total));
        Filter { spec: request.spec, near: request.near, below, need, limit_permille, taken, within: request.within }
    }

    /// The largest count up to `most` for which that many nodes, those it has included, stay below the limit.
    ///
    /// A larger count needs less of each node, so the nodes that fit only grow with it: going down from `most` to what
    /// fits, until what fits is enough, meets the largest such count first.
    fn largest_count(&self, request: &Request<'_>, taken: &BTreeSet<u32>, have: u32, most: u32, limit: u16) -> u32 {
        let mut total = most;
        while total > have {
            let filter = self.filter(request, taken, total, limit);
            let fitting = self.count_fitting(&filter, total - have);
            if fitting >= total - have {
                return total;
            }
            total = have + fitting;
        }
        have
    }

    /// How many more nodes would take what is asked for with this need, below half load.
    pub(super) fn would_take(&self, request: &Request<'_>, need: Capacity) -> usize {
        let taken: BTreeSet<u32> = request.members.iter().map(|member| member.node.index).collect();
        let filter = Filter { need, ..self.filter(request, &taken, request.want, ALLOCATE_MAX.value()) };
        usize::try_from(self.count_fitting(&filter, u32::MAX)).unwrap_or(usize::MAX)
    }

    /// Nodes that pass, counted up to `enough`.
    fn count_fitting(&self, filter: &Filter<'_>, enough: u32) -> u32 {
        let mut fitting = 0;
        for mut cursor in self.cursors(filter, 0) {
            loop {
                fitting += u32::from(self.fits(filter, cursor.step.node).is_some());
                if fitting >= enough {
                    return fitting;
                }
                if !self.advance_cursor(&mut cursor, filter, 0) {
                    break;
                }
            }
        }
        fitting
    }

    /// The load that the need adds to the node, when the node may take it.
    fn fits(&self, filter: &Filter<'_>, index: u32) -> Option<u32> {
        if !filter.taken.is_empty() && filter.taken.contains(&index) {
            return None;
        }
        let node = self.nodes.at(index)?;
        let free = node.free();
        if free.memory_mb < filter.spec.requires.memory_mb || !free.covers(filter.need) {
            return None;
        }
        if let (Some(below), Some(near)) = (filter.below, filter.near)
            && self.expected_latency(near, node).is_none_or(|latency| latency >= below)
        {
            return None;
        }
        let added = added_permille(filter.need, node.spec.capacity)?;
        let projected = node.effective_permille().checked_add(added)?;
        (projected < u32::from(filter.limit_permille)).then_some(added)
    }

    /// Every group that may have a node for the filter; groups of a zone in their order.
    fn lanes<'a>(&'a self, filter: &'a Filter<'_>) -> impl Iterator<Item = Lane> + 'a {
        let index = self.nodes.index();
        let zones = index.zones().iter().enumerate();
        let zones = zones.filter(|(_, entry)| filter.within.is_none_or(|zone| zone == entry.zone));
        zones.flat_map(move |(zone, entry)| {
            entry.groups.iter().filter_map(move |&group| {
                let head = index.head(group);
                let able = head.capabilities.contains(filter.spec.requires.capabilities)
                    && head.bytes_most() >= filter.need.bytes
                    && head.key < filter.limit_permille;
                able.then_some(Lane { group, zone, key: head.key, step: None })
            })
        })
    }

    /// The start of each of these groups.
    fn cursors<'a>(&'a self, filter: &'a Filter<'_>, start: u64) -> impl Iterator<Item = Cursor> + 'a {
        self.lanes(filter).filter_map(move |Lane { group, zone, .. }| {
            self.nodes.index().first(group, start).map(|step| Cursor { group, zone, step })
        })
    }

    fn advance_cursor(&self, cursor: &mut Cursor, filter: &Filter<'_>, start: u64) -> bool {
        let next = self.nodes.index().next(cursor.group, cursor.step, start);
        let Some(step) = next.filter(|step| step.key < filter.limit_permille) else { return false };
        cursor.step = step;
        true
    }

    fn count(&self, request: &Request<'_>, counts: &mut Counts) {
        let zones = self.nodes.index().zones();
        counts.zones.clear();
        counts.regions.clear();
        let mut last: Option<RegionId> = None;
        for entry in zones {
            if last != Some(entry.zone.0) {
                counts.regions.push(0);
                last = Some(entry.zone.0);
            }
            let tie = u32::try_from(mix(entry.hash ^ request.rotation) >> 32).unwrap_or(0);
            counts.zones.push(ZoneCount { region: counts.regions.len() - 1, taken: 0, tie });
        }
        let carried = request.members.iter().filter_map(|member| self.nodes.get(member.node)).map(|node| node.zone());
        for zone in carried {
            if let Ok(zone) = zones.binary_search_by_key(&zone, |entry| entry.zone) {
                counts.take(zone);
            } else if let Some(at) = zones.iter().position(|entry| entry.zone.0 == zone.0) {
                // No healthy node is left in the zone, but its region has others.
                counts.regions[counts.zones[at].region] += 1;
            }
        }
    }

    fn pick(
        &self,
        scratch: &mut Scratch,
        request: &Request<'_>,
        filter: &Filter<'_>,
        count: u32,
        arranged: Arranged,
    ) -> Vec<Pick> {
        let order = match (arranged, arrangement(&request.spec.class)) {
            (Arranged::ByClass, order) => order,
            (Arranged::ByLoad, _) => Arrangement::Idle,
        };
        match (arranged, order) {
            _ if count == 0 => Vec::new(),
            (_, Arrangement::Nearest { .. }) => self.pick_nearest(request, filter, count),
            (Arranged::ByClass, _) if request.select == Select::TwoChoices => {
                self.pick_two_choices(request, filter, count, order)
            }
            (Arranged::ByClass, _) if request.weights != Weights::LOAD => {
                self.pick_by_score(request, filter, count, order)
            }
            _ => self.pick_by_load(scratch, request, filter, count, order),
        }
    }

    /// The first `count` in the order. Every zone's groups are walked by load; a heap has the next key of each walk.
    fn pick_by_load(
        &self,
        scratch: &mut Scratch,
        request: &Request<'_>,
        filter: &Filter<'_>,
        count: u32,
        order: Arrangement,
    ) -> Vec<Pick> {
        let start = request.rotation;
        let index = self.nodes.index();
        let Scratch { lanes, heap, counts } = scratch;
        self.count(request, counts);
        lanes.clear();
        lanes.extend(self.lanes(filter));
        let rank = |counts: &Counts, lane: &Lane, at: usize| Reverse((counts.rank(order, lane.zone, lane.key, at), at));
        let mut memory = core::mem::take(heap);
        memory.clear();
        memory.extend(lanes.iter().enumerate().map(|(at, lane)| rank(counts, lane, at)));
        let mut next = BinaryHeap::from(memory);
        let mut picks = Vec::with_capacity(usize::try_from(count).unwrap_or(0).min(lanes.len().saturating_mul(64)));
        while count_u32(picks.len()) < count {
            let Some(mut top) = next.peek_mut() else { break };
            let at = top.0.1;
            // Counts only grow: what ranked here before may rank later now, never earlier.
            let now = rank(counts, &lanes[at], at);
            if now != *top {
                *top = now;
                continue;
            }
            let lane = &mut lanes[at];
            let Some(step) = lane.step.or_else(|| index.first(lane.group, start)) else { break };
            if let Some(added_permille) = self.fits(filter, step.node) {
                picks.push(Pick { index: step.node, added_permille, over_target: false });
                counts.take(lane.zone);
            }
            lane.step = index.next(lane.group, step, start).filter(|step| step.key < filter.limit_permille);
            if let Some(step) = lane.step {
                lane.key = step.key;
                *top = rank(counts, lane, at);
            } else {
                PeekMut::pop(top);
            }
        }
        *heap = next.into_vec();
        picks
    }

    /// As by load, with the least loaded nodes of each zone in the order of their scores.
    fn pick_by_score(&self, request: &Request<'_>, filter: &Filter<'_>, count: u32, order: Arrangement) -> Vec<Pick> {
        struct Candidate {
            zone: usize,
            key: u16,
            pick: Pick,
            score: u16,
        }
        let start = request.rotation;
        let mut counts = Counts::default();
        self.count(request, &mut counts);
        let mut pools: Vec<Vec<Candidate>> = Vec::new();
        pools.resize_with(counts.zones.len(), Vec::new);
        for mut cursor in self.cursors(filter, start) {
            let pool = &mut pools[cursor.zone];
            let full = pool.len().saturating_add(POOL.max(usize::try_from(count).unwrap_or(usize::MAX)));
            loop {
                let (index, key) = (cursor.step.node, cursor.step.key);
                if let Some(added_permille) = self.fits(filter, index) {
                    let pick = Pick { index, added_permille, over_target: false };
                    pool.push(Candidate { zone: cursor.zone, key, pick, score: 0 });
                }
                if pool.len() == full || !self.advance_cursor(&mut cursor, filter, start) {
                    break;
                }
            }
        }
        let nodes = || pools.iter().flatten().filter_map(|candidate| self.nodes.at(candidate.pick.index));
        let highest_price = nodes().map(|node| node.spec.price).max().unwrap_or(0);
        for candidate in pools.iter_mut().flatten() {
            candidate.score = self.score(request, candidate.pick.index, highest_price);
        }
        for pool in &mut pools {
            // The best at the end, to be taken from there.
            pool.sort_by_key(|candidate| Reverse((candidate.score, candidate.key)));
        }
        let mut picks = Vec::new();
        while count_u32(picks.len()) < count {
            let best = pools.iter().enumerate().filter_map(|(at, pool)| {
                let Candidate { zone, score, .. } = pool.last()?;
                Some((counts.rank(order, *zone, *score, at), at))
            });
            let Some(candidate) = best.min().and_then(|(_, at)| pools[at].pop()) else { break };
            counts.take(candidate.zone);
            picks.push(candidate.pick);
        }
        picks
    }

    /// Sum of weight times figure, as a share of the sum of the weights; 0 to 1000, lower is better.
    fn score(&self, request: &Request<'_>, index: u32, highest_price: u32) -> u16 {
        let Some(node) = self.nodes.at(index) else { return u16::MAX };
        let Weights { load, latency, cost, capability, reputation } = request.weights;
        let round_trip = self.latency_or_max(request.near, index).min(LATENCY_FULL).as_micros();
        let permille = |part: u128, whole: u128| (part * 1000).checked_div(whole).unwrap_or(0);
        let figures = [
            (load, u128::from(node.believed_permille().min(1000))),
            (latency, permille(round_trip, LATENCY_FULL.as_micros())),
            (cost, permille(u128::from(node.spec.price), u128::from(highest_price))),
            (capability, permille(u128::from(64 - node.spec.capabilities.count()), 64)),
            (reputation, 1000 - u128::from(node.trust().reputation(&self.config.trust, self.now).value())),
        ];
        let sum: u128 = figures.iter().map(|&(weight, figure)| u128::from(weight) * figure).sum();
        let weights: u128 = figures.iter().map(|&(weight, _)| u128::from(weight)).sum();
        sum.checked_div(weights).and_then(|score| u16::try_from(score).ok()).unwrap_or(u16::MAX)
    }

    /// For each place the less loaded of two nodes drawn from the zones whose turn it is.
    fn pick_two_choices(
        &self,
        request: &Request<'_>,
        filter: &Filter<'_>,
        count: u32,
        order: Arrangement,
    ) -> Vec<Pick> {
        let start = request.rotation;
        let index = self.nodes.index();
        let mut counts = Counts::default();
        self.count(request, &mut counts);
        let mut cursors: Vec<Option<Cursor>> = self.cursors(filter, start).map(Some).collect();
        let mut chosen = BTreeSet::new();
        let mut draw = mix(request.rotation ^ mix(self.seq));
        let mut picks = Vec::new();
        while count_u32(picks.len()) < count {
            let turn = |cursor: &Cursor| match order {
                Arrangement::Spread => {
                    let zone = &counts.zones[cursor.zone];
                    (counts.regions[zone.region], zone.taken)
                }
                _ => (0, 0),
            };
            let Some(first) = cursors.iter().flatten().map(turn).min() else { break };
            let lanes: Vec<usize> = (0..cursors.len())
                .filter(|&at| cursors[at].as_ref().is_some_and(|cursor| turn(cursor) == first))
                .collect();
            let open: usize =
                lanes.iter().filter_map(|&at| cursors[at].as_ref()).map(|c| index.group(c.group).members().len()).sum();
            let mut found: Option<(u16, u32, Pick, usize)> = None;
            let mut distinct = 0;
            for _ in 0..DRAWS {
                draw = mix(draw.wrapping_add(0x9e37_79b9_7f4a_7c15));
                let Some(mut place) = below(draw, open) else { break };
                let lane = lanes.iter().copied().find_map(|at| {
                    let cursor = cursors[at].as_ref()?;
                    let nodes = index.group(cursor.group).members();
                    let node = nodes.get(place).copied();
                    place = place.wrapping_sub(nodes.len());
                    node.map(|node| (node, cursor.zone))
                });
                let Some((node, zone)) = lane else { break };
                if chosen.contains(&node) || found.is_some_and(|(_, other, _, _)| other == node) {
                    continue;
                }
                let Some(added_permille) = self.fits(filter, node) else { continue };
                let key = index.key_of(node).unwrap_or(u16::MAX);
                let pick = Pick { index: node, added_permille, over_target: false };
                if found.is_none_or(|(least, _, _, _)| key < least) {
                    found = Some((key, node, pick, zone));
                }
                distinct += 1;
                if distinct == 2 {
                    break;
                }
            }
            if found.is_none() {
                // Hardly any of them can take it: the least loaded that can.
                for &at in &lanes {
                    found = self.next_fitting(&mut cursors[at], filter, &chosen, start);
                    if found.is_some() {
                        break;
                    }
                }
            }
            // When no lane has one, their walks are over, and the next in turn are looked at.
            if let Some((_, node, pick, zone)) = found {
                chosen.insert(node);
                counts.take(zone);
                picks.push(pick);
            }
        }
        picks
    }

    /// The next node of a walk that fits and is not chosen; ends the walk when there is none.
    fn next_fitting(
        &self,
        walk: &mut Option<Cursor>,
        filter: &Filter<'_>,
        chosen: &BTreeSet<u32>,
        start: u64,
    ) -> Option<(u16, u32, Pick, usize)> {
        let cursor = walk.as_mut()?;
        loop {
            let Step { node: index, key, .. } = cursor.step;
            if !chosen.contains(&index)
                && let Some(added_permille) = self.fits(filter, index)
            {
                return Some((key, index, Pick { index, added_permille, over_target: false }, cursor.zone));
            }
            if !self.advance_cursor(cursor, filter, start) {
                *walk = None;
                return None;
            }
        }
    }

    /// The nearest first. Regions are looked at by distance, until the next one is farther than all that is found.
    fn pick_nearest(&self, request: &Request<'_>, filter: &Filter<'_>, count: u32) -> Vec<Pick> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let zones = self.nodes.index().zones();
        let mut by_region: BTreeMap<(Duration, RegionId), Vec<Cursor>> = BTreeMap::new();
        for cursor in self.cursors(filter, request.rotation) {
            let region = zones[cursor.zone].zone.0;
            let distance = request.near.and_then(|near| self.region_latency(near, region)).unwrap_or(Duration::MAX);
            by_region.entry((distance, region)).or_default().push(cursor);
        }
        let mut nearest: BinaryHeap<(Duration, u16, u64, u32, u32)> = BinaryHeap::new();
        for ((distance, _), cursors) in by_region {
            if nearest.len() == count && nearest.peek().is_some_and(|&(latency, ..)| latency < distance) {
                break;
            }
            for mut cursor in cursors {
                loop {
                    let index = cursor.step.node;
                    if let (Some(added), Some(node)) = (self.fits(filter, index), self.nodes.at(index)) {
                        let latency = self.latency_or_max(request.near, index);
                        let tie = self.nodes.tie(node).wrapping_sub(request.rotation);
                        nearest.push((latency, cursor.step.key, tie, index, added));
                        if nearest.len() > count {
                            nearest.pop();
                        }
                    }
                    if !self.advance_cursor(&mut cursor, filter, request.rotation) {
                        break;
                    }
                }
            }
        }
        let to_pick = |(_, _, _, index, added_permille)| Pick { index, added_permille, over_target: false };
        nearest.into_sorted_vec().into_iter().map(to_pick).collect()
    }

    /// Round trip from a region to a node; `None` when the distance of the regions is not known.
    pub(super) fn expected_latency(&self, from: RegionId, node: Node<'_, N>) -> Option<Duration> {
        Some(self.region_latency(from, node.spec.region)?.saturating_add(node.last_mile()))
    }

    /// For orders: nodes at an unknown distance come last; without a consumer all are alike.
    pub(super) fn latency_or_max(&self, near: Option<RegionId>, index: u32) -> Duration {
        let Some(near) = near else { return Duration::ZERO };
        self.nodes.at(index).and_then(|node| self.expected_latency(near, node)).unwrap_or(Duration::MAX)
    }

    /// Zone of a node that is in the table.
    pub(super) fn zone_at(&self, index: u32) -> Option<Zone> {
        self.nodes.at(index).map(|node| node.zone())
    }
}

/// A number below `bound` out of a hash; `None` below 1.
fn below(hash: u64, bound: usize) -> Option<usize> {
    let bound = u128::try_from(bound).ok().filter(|&bound| bound > 0)?;
    usize::try_from((u128::from(hash) * bound) >> 64).ok()
}

/// Whether the class or the load alone orders the nodes.
#[derive(Clone, Copy)]
enum Arranged {
    ByClass,
    ByLoad,
}
