//! Which nodes take a resource.

use alloc::collections::{BTreeMap, BTreeSet, BinaryHeap};
use alloc::vec::Vec;
use core::time::Duration;

use super::nodes::{LoadKey, Node, Zone};
use super::{Allocator, Member};
use crate::id::Id;
use crate::policy::{ALLOCATE_MAX, ROUTE_MAX, STREAM_LATENCY_BELOW};
use crate::scheme::{added_permille, need_per_node};
use crate::spec::{Class, ResourceSpec};
use crate::target::FAST_STATE_UPDATES_PER_SECOND;
use crate::units::{Capacity, RegionId};

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
    /// Where the order among equals starts, so that resources start at different nodes.
    pub(super) rotation: u64,
    pub(super) want: u32,
    pub(super) floor: u32,
    /// Nodes it has.
    pub(super) members: &'a [Member],
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
    limit_permille: u32,
    taken: &'a BTreeSet<u32>,
}

/// The nodes of a zone by load; among equals from `rotation` upwards and round.
struct Rotated<'a> {
    keys: &'a BTreeSet<LoadKey>,
    limit_permille: u32,
    rotation: u64,
    load: Option<u32>,
    upper: alloc::collections::btree_set::Range<'a, LoadKey>,
    lower: alloc::collections::btree_set::Range<'a, LoadKey>,
}

impl<'a> Rotated<'a> {
    fn new(keys: &'a BTreeSet<LoadKey>, limit_permille: u32, rotation: u64) -> Self {
        let none = || keys.range((0, 0, 0)..(0, 0, 0));
        Self { keys, limit_permille, rotation, load: None, upper: none(), lower: none() }
    }
}

impl Iterator for Rotated<'_> {
    type Item = LoadKey;

    fn next(&mut self) -> Option<LoadKey> {
        loop {
            if let Some(&key) = self.upper.next().or_else(|| self.lower.next()) {
                return Some(key);
            }
            let from = self.load.map_or(0, |load| load.saturating_add(1));
            let &(load, _, _) = self.keys.range((from, 0, 0)..).next()?;
            if load >= self.limit_permille {
                return None;
            }
            self.load = Some(load);
            self.upper = self.keys.range((load, self.rotation, 0)..=(load, u64::MAX, u32::MAX));
            self.lower = self.keys.range((load, 0, 0)..(load, self.rotation, 0));
        }
    }
}

impl<N: Id, R: Id> Allocator<N, R> {
    /// The nodes to add to `request.members`: as many as stay below half load, up to `want`; up to `route_max` when
    /// that is below the floor.
    pub(super) fn select(&self, request: &Request<'_>) -> Selection {
        let have = u32::try_from(request.members.len()).unwrap_or(u32::MAX);
        let taken: BTreeSet<u32> = request.members.iter().map(|member| member.node.index).collect();
        let half = u32::from(ALLOCATE_MAX.value());
        let total = self.largest_count(request, &taken, have, request.want, half);
        let floor = request.floor.min(request.want);
        if total >= floor {
            let filter = self.filter(request, &taken, total, half);
            let picks = self.pick(request, &filter, total.saturating_sub(have), Arranged::ByClass);
            return Selection { need: filter.need, picks };
        }
        let wide = self.largest_count(request, &taken, have, floor, u32::from(ROUTE_MAX.value())).max(total);
        let filter = self.filter(request, &taken, wide, half);
        let mut picks = self.pick(request, &filter, wide.saturating_sub(have), Arranged::ByClass);
        let mut taken_too = taken.clone();
        taken_too.extend(picks.iter().map(|pick| pick.index));
        let rest = self.filter(request, &taken_too, wide, u32::from(ROUTE_MAX.value()));
        let missing = wide.saturating_sub(have).saturating_sub(u32::try_from(picks.len()).unwrap_or(u32::MAX));
        let filled = self.pick(request, &rest, missing, Arranged::ByLoad);
        picks.extend(filled.into_iter().map(|pick| Pick { over_target: true, ..pick }));
        Selection { need: filter.need, picks }
    }

    fn filter<'a>(
        &self,
        request: &Request<'a>,
        taken: &'a BTreeSet<u32>,
        total: u32,
        limit_permille: u32,
    ) -> Filter<'a> {
        let below = match arrangement(&request.spec.class) {
            Arrangement::Nearest { below } => below,
            Arrangement::Spread | Arrangement::Idle => None,
        };
        let need = need_per_node(request.spec, total);
        Filter { spec: request.spec, near: request.near, below, need, limit_permille, taken }
    }

    /// The largest count up to `most` for which that many nodes, those it has included, stay below the limit.
    ///
    /// A larger count needs less of each node, so the nodes that fit only grow with it: going down from `most` to what
    /// fits, until what fits is enough, meets the largest such count first.
    fn largest_count(&self, request: &Request<'_>, taken: &BTreeSet<u32>, have: u32, most: u32, limit: u32) -> u32 {
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

    /// Nodes that pass, counted up to `enough`.
    fn count_fitting(&self, filter: &Filter<'_>, enough: u32) -> u32 {
        let enough_nodes = usize::try_from(enough).unwrap_or(usize::MAX);
        let fitting = self
            .nodes
            .zones()
            .values()
            .flat_map(|keys| keys.range(..(filter.limit_permille, 0, 0)))
            .filter(|&&(_, _, index)| self.fits(filter, index).is_some())
            .take(enough_nodes)
            .count();
        u32::try_from(fitting).unwrap_or(enough)
    }

    /// The load that the need adds to the node, when the node may take it.
    fn fits(&self, filter: &Filter<'_>, index: u32) -> Option<u32> {
        if filter.taken.contains(&index) {
            return None;
        }
        let node = self.nodes.at(index)?;
        if !node.meets(&filter.spec.requires) || !node.free().covers(filter.need) {
            return None;
        }
        if let (Some(below), Some(near)) = (filter.below, filter.near)
            && self.expected_latency(near, node).is_none_or(|latency| latency >= below)
        {
            return None;
        }
        let added = added_permille(filter.need, node.spec.capacity)?;
        let projected = node.effective_permille().checked_add(added)?;
        (projected < filter.limit_permille).then_some(added)
    }

    fn pick(&self, request: &Request<'_>, filter: &Filter<'_>, count: u32, arranged: Arranged) -> Vec<Pick> {
        match (arranged, arrangement(&request.spec.class)) {
            (Arranged::ByClass, Arrangement::Nearest { .. }) => self.pick_nearest(request, filter, count),
            (Arranged::ByClass, Arrangement::Spread) => self.pick_by_load(request, filter, count, Arrangement::Spread),
            _ => self.pick_by_load(request, filter, count, Arrangement::Idle),
        }
    }

    fn pick_nearest(&self, request: &Request<'_>, filter: &Filter<'_>, count: u32) -> Vec<Pick> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let mut nearest = BinaryHeap::new();
        for &(load, tie, index) in
            self.nodes.zones().values().flat_map(|keys| keys.range(..(filter.limit_permille, 0, 0)))
        {
            let Some(added) = self.fits(filter, index) else { continue };
            let latency = self.latency_or_max(request.near, index);
            nearest.push((latency, load, tie.wrapping_sub(request.rotation), index, added));
            if nearest.len() > count {
                nearest.pop();
            }
        }
        let to_pick = |(_, _, _, index, added_permille)| Pick { index, added_permille, over_target: false };
        nearest.into_sorted_vec().into_iter().map(to_pick).collect()
    }

    fn pick_by_load(&self, request: &Request<'_>, filter: &Filter<'_>, count: u32, order: Arrangement) -> Vec<Pick> {
        struct Lane<'a> {
            region: usize,
            taken: u32,
            nodes: Rotated<'a>,
            head: Option<(u32, u64, u32, u32)>,
        }
        let mut carried: BTreeMap<Zone, u32> = BTreeMap::new();
        for node in request.members.iter().filter_map(|member| self.nodes.get(member.node)) {
            *carried.entry(node.zone()).or_default() += 1;
        }
        let mut regions: Vec<RegionId> = self.nodes.zones().keys().map(|&(region, _)| region).collect();
        regions.dedup();
        let mut taken_in_region: Vec<u32> = regions
            .iter()
            .map(|&region| carried.iter().filter(|&(&(in_region, _), _)| in_region == region).map(|(_, &n)| n).sum())
            .collect();
        let advance = |nodes: &mut Rotated<'_>| {
            nodes.find_map(|(load, tie, index)| {
                self.fits(filter, index).map(|added| (load, tie.wrapping_sub(request.rotation), index, added))
            })
        };
        let mut lanes: Vec<Lane<'_>> = Vec::new();
        for (zone, keys) in self.nodes.zones() {
            let Ok(region) = regions.binary_search(&zone.0) else { continue };
            let mut nodes = Rotated::new(keys, filter.limit_permille, request.rotation);
            let head = advance(&mut nodes);
            lanes.push(Lane { region, taken: carried.get(zone).copied().unwrap_or(0), nodes, head });
        }
        let mut picks = Vec::new();
        while picks.len() < usize::try_from(count).unwrap_or(usize::MAX) {
            let best = lanes.iter_mut().filter(|lane| lane.head.is_some()).min_by_key(|lane| {
                let spread = (taken_in_region[lane.region], lane.taken);
                (if order == Arrangement::Spread { spread } else { (0, 0) }, lane.head)
            });
            let Some(lane) = best else { break };
            let Some((_, _, index, added_permille)) = lane.head else { break };
            picks.push(Pick { index, added_permille, over_target: false });
            lane.taken += 1;
            taken_in_region[lane.region] += 1;
            lane.head = advance(&mut lane.nodes);
        }
        picks
    }

    /// Round trip from a region to a node; `None` when the distance of the regions is not known.
    pub(super) fn expected_latency(&self, from: RegionId, node: &Node<N, R>) -> Option<Duration> {
        Some(self.region_latency(from, node.spec.region)?.saturating_add(node.last_mile))
    }

    /// For orders: nodes at an unknown distance come last; without a consumer all are alike.
    pub(super) fn latency_or_max(&self, near: Option<RegionId>, index: u32) -> Duration {
        let Some(near) = near else { return Duration::ZERO };
        self.nodes.at(index).and_then(|node| self.expected_latency(near, node)).unwrap_or(Duration::MAX)
    }
}

/// Whether the class or the load alone orders the nodes.
#[derive(Clone, Copy)]
enum Arranged {
    ByClass,
    ByLoad,
}
