//! Plans that the nodes have room for, and plans that change as little as they can.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::Roles;
use crate::allocator::nodes::Status;
use crate::allocator::{Allocator, Resource, count_u32};
use crate::hierarchy::{
    Candidate, Hierarchy, HierarchyLimits, RegionHubs, Role, hierarchy_pieces, node_score, plan_hierarchy,
};
use crate::id::Id;
use crate::policy::{ALLOCATE_MAX, ROUTE_MAX};
use crate::scheme::{PIECE_BYTES, added_permille};
use crate::spec::NodeRef;
use crate::units::{Capacity, Permille, RegionId};

/// Plans with ever more caution before the new nodes of a region without enough room are given up, and then all of it.
const CAUTIOUS_ROUNDS: u64 = 16;
const ROUNDS: u64 = 32;

/// A plan, and how many seeds and hubs there might be.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    pub(super) plan: Hierarchy,
    pub(super) want: u32,
}

/// What a node of a plan has to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) role: Role,
    /// The most pieces; of a seed the data.
    pub(super) pieces: u64,
    pub(super) bytes: u64,
}

/// Of every seed and hub.
pub(super) struct Shares(pub(super) BTreeMap<NodeRef, Share>);

impl Shares {
    pub(super) fn of(plan: &Hierarchy, size: u64) -> Self {
        let seed = Share { role: Role::Seed, pieces: size.div_ceil(PIECE_BYTES), bytes: size };
        let mut shares: BTreeMap<NodeRef, Share> = plan.seeds.iter().map(|&node| (node, seed)).collect();
        for region in &plan.regions {
            let caps = region.caps(hierarchy_pieces(size));
            shares.extend(region.hubs().iter().zip(caps).map(|(&node, pieces)| {
                let bytes = pieces.saturating_mul(size.min(PIECE_BYTES));
                (node, Share { role: Role::Hub, pieces, bytes })
            }));
        }
        Self(shares)
    }
}

/// Seeds, then hubs.
pub(super) fn holders(plan: &Hierarchy) -> impl Iterator<Item = NodeRef> + '_ {
    plan.seeds.iter().chain(plan.regions.iter().flat_map(RegionHubs::hubs)).copied()
}

/// Bytes of the most pieces of a hub with this part of its region's weight, for `copies` copies.
fn hub_bytes(size: u64, limits: &HierarchyLimits, copies: u64, weight: u64, of: u64) -> u64 {
    let pieces = u128::from(hierarchy_pieces(size));
    let share = u128::from(copies) * u128::from(weight);
    // At most 2^45 pieces x 2^7 copies x 2^32 x 2^11.
    let most =
        (pieces * share * (1000 + u128::from(limits.load_bound_permille))).div_ceil(1000 * u128::from(of.max(1)));
    let most = u64::try_from(most.min(pieces)).unwrap_or(u64::MAX);
    most.saturating_mul(size.min(PIECE_BYTES))
}

impl<N: Id, R: Id> Allocator<N, R> {
    /// What a hub gives in a region whose hubs are alike, when its share is not rounded up.
    pub(in crate::allocator) fn hub_need(placed: &Resource<R>, roles: &Roles) -> Capacity {
        let bytes = nominal_bytes(placed.spec.size, &roles.limits);
        Capacity { bytes, memory_mb: placed.spec.requires.memory_mb, bandwidth_kb_s: 0 }
    }

    /// A plan as if no new node had a role yet, and whom it chose among: nodes that have had their share for now are left
    /// out, unless too few seeds or hubs are found without them.
    pub(super) fn plan_anew(&self, placed: &Resource<R>, limits: &HierarchyLimits) -> (Vec<Candidate>, Planned) {
        let all = self.candidates(placed, limits);
        let earned = |candidate: &Candidate| {
            let spent = self.nodes.get(candidate.node).is_some_and(|node| node.is_spent());
            let able = if spent && candidate.current.is_none() { Role::Edge } else { candidate.able };
            Candidate { able, ..*candidate }
        };
        let earned: Vec<Candidate> = all.iter().map(earned).collect();
        let planned = self.fitting_plan(placed, limits, &mut earned.clone());
        if earned == all || count_u32(holders(&planned.plan).count()) >= planned.want {
            return (earned, planned);
        }
        let planned = self.fitting_plan(placed, limits, &mut all.clone());
        (all, planned)
    }

    /// All nodes that may get a role, in the order of their slots, with what they are able to by size and load.
    fn candidates(&self, placed: &Resource<R>, limits: &HierarchyLimits) -> Vec<Candidate> {
        let size = placed.spec.size;
        let hub = nominal_bytes(size, limits);
        let held: BTreeMap<NodeRef, (Role, u64)> = placed
            .members
            .iter()
            .filter_map(|member| Some((member.node, (placed.roles.as_ref()?.of(member.node)?, member.covered_bytes))))
            .collect();
        let healthy = self.nodes.iter().filter(|(_, node)| node.status() == Status::Healthy);
        let capable = healthy.filter(|(_, node)| node.spec.capabilities.contains(placed.spec.requires.capabilities));
        capable
            .filter_map(|(index, node)| {
                let handle = self.nodes.handle(index)?;
                let has = held.get(&handle).copied();
                let takes = |bytes: u64| self.takes(placed, handle, has.map(|(_, bytes)| bytes), bytes, ALLOCATE_MAX);
                let able = match has.map(|(role, _)| role) {
                    Some(Role::Seed) => Some(Role::Seed),
                    _ if takes(size) => Some(Role::Seed),
                    Some(_) => Some(Role::Hub),
                    None if takes(hub) => Some(Role::Hub),
                    None => takes(size.min(PIECE_BYTES)).then_some(Role::Edge),
                };
                let mebibytes = u32::try_from(node.spec.capacity.bytes >> 20).unwrap_or(u32::MAX);
                Some(Candidate {
                    node: handle,
                    region: node.spec.region,
                    zone: node.spec.zone,
                    // Without a role it is still a node of its region.
                    weight: if able.is_some() { mebibytes.max(1) } else { 0 },
                    tie: self.nodes.tie(node),
                    load_permille: node.effective_permille(),
                    able: able.unwrap_or(Role::Edge),
                    current: has.map(|(role, _)| role),
                })
            })
            .collect()
    }

    /// Whether a node has room for `bytes` of the resource, of which it `has` some, and stays below `limit`.
    fn takes(&self, placed: &Resource<R>, node: NodeRef, has: Option<u64>, bytes: u64, limit: Permille) -> bool {
        let Some(node) = self.nodes.get(node) else { return false };
        let memory_mb = if has.is_some() { 0 } else { placed.spec.requires.memory_mb };
        let need = Capacity { bytes: bytes.saturating_sub(has.unwrap_or(0)), memory_mb, bandwidth_kb_s: 0 };
        if has.is_some() && need.bytes == 0 {
            return true;
        }
        let Some(added) = added_permille(need, node.spec.capacity) else { return false };
        node.free().covers(need) && node.effective_permille().saturating_add(added) < u32::from(limit.value())
    }

    /// A plan in which every hub has room for its share; `candidates` lose what they turn out not to be able to.
    ///
    /// Each round plans, and in regions with a hub that lacks the room takes out that hub and every new node that would lack
    /// it under the present weights: the more rounds it takes, the more room is asked for.
    pub(super) fn fitting_plan(
        &self,
        placed: &Resource<R>,
        limits: &HierarchyLimits,
        candidates: &mut [Candidate],
    ) -> Planned {
        let size = placed.spec.size;
        let mut round = 0;
        loop {
            let plan = plan_hierarchy(placed.rotation, candidates, placed.spec.demand, limits);
            let plan = plan.expect("limits were checked, and slots are distinct");
            let shares = Shares::of(&plan, size).0;
            let fits = |node: NodeRef| {
                let Some(share) = shares.get(&node).filter(|share| share.role == Role::Hub) else { return true };
                let member = placed.members.iter().find(|member| member.node == node);
                let limit = if member.is_some() { ROUTE_MAX } else { ALLOCATE_MAX };
                self.takes(placed, node, member.map(|member| member.covered_bytes), share.bytes, limit)
            };
            let lacking: Vec<&RegionHubs> =
                plan.regions.iter().filter(|region| region.hubs().iter().any(|&hub| !fits(hub))).collect();
            if lacking.is_empty() {
                let regions: BTreeSet<RegionId> = candidates.iter().map(|candidate| candidate.region).collect();
                let most = u64::from(limits.hubs_per_region_max) * u64::try_from(regions.len()).unwrap_or(u64::MAX);
                let seeds = plan.seeds_missing.saturating_add(count_u32(plan.seeds.len()));
                let want = u64::from(seeds).saturating_add(most).min(u64::from(limits.nodes_max));
                return Planned { plan, want: u32::try_from(want).unwrap_or(u32::MAX) };
            }
            for region in lacking {
                let of: u64 = candidates
                    .iter()
                    .filter(|candidate| region.hubs().binary_search(&candidate.node).is_ok())
                    .map(|hub| u64::from(hub.weight))
                    .sum();
                for candidate in candidates.iter_mut().filter(|candidate| candidate.region == region.region()) {
                    let share = hub_bytes(size, limits, u64::from(region.copies()), u64::from(candidate.weight), of);
                    let cautious = share.saturating_add(share / 8 * round);
                    let keeps = if candidate.current.is_some() {
                        round < ROUNDS && fits(candidate.node)
                    } else {
                        round < CAUTIOUS_ROUNDS
                            && fits(candidate.node)
                            && self.takes(placed, candidate.node, None, cautious, ALLOCATE_MAX)
                    };
                    if !keeps && plan.seeds.binary_search(&candidate.node).is_err() {
                        candidate.able = Role::Edge;
                    }
                }
            }
            round += 1;
        }
    }

    /// A plan that keeps the roles there are, as far as evenness lets it, and has at most `most` new nodes: as many as
    /// a plan from the beginning would have more seeds and more hubs in each region. Who comes next in the order of the
    /// plan is taken, seeds first, then hubs for the region that has the fewest.
    pub(super) fn plan_again(&self, placed: &Resource<R>, roles: &Roles, most: usize) -> Planned {
        let limits = &roles.limits;
        let (all, goal) = self.plan_anew(placed, limits);
        let bounded = |able: &dyn Fn(&Candidate) -> Role| -> Vec<Candidate> {
            let bounded = |candidate: &Candidate| {
                let able =
                    if candidate.current.is_some() { candidate.able } else { candidate.able.min(able(candidate)) };
                Candidate { able, ..*candidate }
            };
            all.iter().map(bounded).collect()
        };
        let left = self.fitting_plan(placed, limits, &mut bounded(&|_| Role::Edge)).plan;

        let mut ranked: Vec<&Candidate> = all.iter().filter(|candidate| candidate.current.is_none()).collect();
        ranked.sort_by_cached_key(|new| (node_score(placed.rotation, new.tie, new.weight), new.node));
        let missing = goal.plan.seeds.len().saturating_sub(left.seeds.len());
        let seeds = ranked.iter().filter(|new| goal.plan.seeds.binary_search(&new.node).is_ok());
        let mut may_be: BTreeMap<NodeRef, Role> =
            seeds.take(missing.min(most)).map(|new| (new.node, Role::Seed)).collect();

        let count = |plan: &Hierarchy, region: RegionId| {
            plan.regions.iter().find(|hubs| hubs.region() == region).map_or(0, |hubs| hubs.hubs().len())
        };
        let mut hubs = Vec::new();
        for region in goal.plan.regions.iter().map(RegionHubs::region) {
            let has = count(&left, region);
            let new = ranked.iter().filter(|new| new.region == region && new.able >= Role::Hub);
            let new = new.filter(|new| !may_be.contains_key(&new.node)).zip(has..count(&goal.plan, region));
            hubs.extend(new.map(|(new, level)| (level, region, new.node)));
        }
        hubs.sort_unstable();
        let places = most.saturating_sub(may_be.len());
        may_be.extend(hubs.into_iter().take(places).map(|(_, _, node)| (node, Role::Hub)));
        let mut allowed = bounded(&|new| may_be.get(&new.node).copied().unwrap_or(Role::Edge));
        Planned { want: goal.want, ..self.fitting_plan(placed, limits, &mut allowed) }
    }
}

/// The share of a hub among equals.
fn nominal_bytes(size: u64, limits: &HierarchyLimits) -> u64 {
    hub_bytes(size, limits, u64::from(limits.hub_share_permille), 1, 1000)
}
