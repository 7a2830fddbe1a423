//! Resources above 10 GiB: seeds that hold everything, hubs per region that hold everything together, edges that cache.

mod error;
mod hubs;
mod layout;
mod quota;
mod rendezvous;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

pub use error::{HierarchyError, LayoutError};
use hubs::HubSpec;
pub use hubs::{PieceHubs, RegionHubs};
pub use layout::{ChangedPiece, HubIndexes, HubLayout, HubMoves, HubSet, MoveCount, hub_moves};
use quota::share_evenly;
pub(crate) use rendezvous::node_score;
use rendezvous::{region_rank, zone_rank};

use crate::policy::{ALLOCATE_MAX, ROUTE_MAX};
use crate::scheme::PIECE_BYTES;
use crate::spec::NodeRef;
use crate::units::{Demand, RegionId, ZoneId};

/// Most pieces of a layout that is kept, 64 MiB of it: 4 TiB in pieces of 1 MiB, a sixth of it parity.
/// [`RegionHubs::assign`] has no limit.
pub const MAX_LAYOUT_PIECES: u64 = 1 << 22;

/// Hubs of a region, bounded by the bits of a [`HubSet`].
const MAX_HUBS: u32 = 128;

/// Pieces of a resource of `size` bytes: its data in pieces of [`PIECE_BYTES`], and one piece of parity for every five,
/// rounded up. What [`RegionHubs::layout`] and [`RegionHubs::assign`] are asked for.
///
/// ```
/// use inos_alloc::hierarchy_pieces;
///
/// assert_eq!((hierarchy_pieces(10 << 30), hierarchy_pieces(1), hierarchy_pieces(0)), (12_288, 2, 0));
/// ```
#[must_use]
pub const fn hierarchy_pieces(size: u64) -> u64 {
    let data = size.div_ceil(PIECE_BYTES);
    data + data.div_ceil(5)
}

/// How large the hierarchy of a resource gets. The defaults are those of `docs/policy.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HierarchyLimits {
    /// Seeds at demand 0: 5.
    pub seeds_min: u32,
    /// Seeds at full demand: 7. In between the count grows in proportion, rounded down.
    pub seeds_max: u32,
    /// A region with fewer hubs is listed in [`Hierarchy::shortfall`]: 50.
    pub hubs_per_region_min: u32,
    /// A region has at most this many hubs, `1..=128`: 100.
    pub hubs_per_region_max: u32,
    /// Seeds, hubs and edges together: 700. Places of seeds that were not found stay free.
    pub nodes_max: u32,
    /// The share of a region's hubs that hold a piece, `1..=1000` thousandths, rounded up to whole hubs: 200.
    pub hub_share_permille: u32,
    /// By how much a hub's pieces may exceed its fair share, `0..=1000` thousandths: 30.
    pub load_bound_permille: u32,
}

impl Default for HierarchyLimits {
    fn default() -> Self {
        Self {
            seeds_min: 5,
            seeds_max: 7,
            hubs_per_region_min: 50,
            hubs_per_region_max: 100,
            nodes_max: 700,
            hub_share_permille: 200,
            load_bound_permille: 30,
        }
    }
}

impl HierarchyLimits {
    pub(crate) fn check(&self) -> Result<(), HierarchyError> {
        let &Self { seeds_min, seeds_max, hubs_per_region_max, hub_share_permille, load_bound_permille, .. } = self;
        if !(1..=MAX_HUBS).contains(&hubs_per_region_max) {
            return Err(HierarchyError::BadHubs { hubs_per_region_max });
        }
        if !(1..=1000).contains(&hub_share_permille) {
            return Err(HierarchyError::BadShare { hub_share_permille });
        }
        if load_bound_permille > 1000 {
            return Err(HierarchyError::BadBound { load_bound_permille });
        }
        if seeds_min > seeds_max {
            return Err(HierarchyError::BadSeeds { seeds_min, seeds_max });
        }
        Ok(())
    }

    fn seeds(&self, demand: Demand) -> u32 {
        let more = u64::from(self.seeds_max - self.seeds_min) * u64::from(demand.permille()) / 1000;
        let more = u32::try_from(more).expect("at most the difference of two u32");
        self.seeds_min.saturating_add(more).min(self.nodes_max)
    }
}

/// What a node does for a resource, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Role {
    /// It caches what it is asked for.
    Edge,
    /// It holds its share of the pieces for its region.
    Hub,
    /// It holds every piece.
    Seed,
}

/// A healthy node that may get a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The node.
    pub node: NodeRef,
    /// Its region.
    pub region: RegionId,
    /// Its zone within the region.
    pub zone: ZoneId,
    /// How much it takes, compared to the others; 0 gets no role. Should change seldom, as its capacity does and its free
    /// space does not: pieces move when weights do.
    pub weight: u32,
    /// A hash of the node's id, the same in every plan. Equal hashes of two nodes give them the same pieces.
    pub tie: u64,
    /// Its effective load. Below [`ALLOCATE_MAX`] it may get a role; one that has a role keeps its chance below
    /// [`ROUTE_MAX`].
    pub load_permille: u32,
    /// The greatest role it has the room for, counting what it holds of this resource as free.
    pub able: Role,
    /// Its role in the plan in force, if it has one.
    pub current: Option<Role>,
}

impl Candidate {
    fn takes(&self, role: Role) -> bool {
        let load_below = if self.current.is_some() { ROUTE_MAX } else { ALLOCATE_MAX };
        self.weight > 0 && self.able >= role && self.load_permille < u32::from(load_below.value())
    }
}

/// A region with fewer hubs than [`HierarchyLimits::hubs_per_region_min`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HubShortfall {
    /// The region.
    pub region: RegionId,
    /// Hubs it has; with none, its nodes read from other regions.
    pub hubs: u32,
    /// Hubs it lacks.
    pub missing: u32,
}

/// The nodes of a region that may cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionEdges {
    /// The region.
    pub region: RegionId,
    /// The first one is the next to become a hub.
    pub nodes: Vec<NodeRef>,
}

/// Who does what for a resource above 10 GiB, made by [`plan_hierarchy`] and by
/// [`Allocator::allocate_hierarchy`](crate::Allocator::allocate_hierarchy).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// Nodes that hold every piece, in the order of their handles.
    pub seeds: Vec<NodeRef>,
    /// Seeds that were wanted and not found.
    pub seeds_missing: u32,
    /// The regions that have hubs, ascending.
    pub regions: Vec<RegionHubs>,
    /// The regions that have edges, ascending.
    pub edges: Vec<RegionEdges>,
    /// Regions with too few hubs, ascending: too few nodes there, or too many regions.
    pub shortfall: Vec<HubShortfall>,
}

/// The node with its place in the order of its region.
type Ranked<'a> = (u128, &'a Candidate);

/// Chooses seeds, hubs and edges among `candidates`, healthy nodes in any order.
///
/// Seeds are spread over regions, then over zones. A region has as many hubs as it has other nodes that are able, at most
/// [`hubs_per_region_max`](HierarchyLimits::hubs_per_region_max), the largest regions giving up hubs until
/// [`nodes_max`](HierarchyLimits::nodes_max) holds; what is left of it are edges, spread the same way. Within a zone or
/// region, who gets a role is decided by weighted rendezvous hashing: the chance is in proportion to the weight, and one
/// node that comes or leaves replaces at most one seed and one hub. O(n log n).
///
/// Nothing is promised that is not there: see [`Hierarchy::seeds_missing`] and [`Hierarchy::shortfall`].
///
/// ```
/// use inos_alloc::{
///     Candidate, Demand, HierarchyLimits, LayoutError, NodeRef, RegionId, Role, ZoneId, hub_moves, plan_hierarchy,
/// };
///
/// let candidate = |index: u32| Candidate {
///     node: NodeRef { index, generation: 0 },
///     region: RegionId(index % 2),
///     zone: ZoneId(index / 2 % 3),
///     weight: 1 + index % 4,
///     tie: u64::from(index).wrapping_mul(0x9e37_79b9_7f4a_7c15),
///     load_permille: 120,
///     able: Role::Seed,
///     current: None,
/// };
/// let mut nodes: Vec<Candidate> = (0..120).map(candidate).collect();
/// let limits = HierarchyLimits::default();
/// let plan = plan_hierarchy(7, &nodes, Demand::ZERO, &limits)?;
/// assert_eq!((plan.seeds.len(), plan.seeds_missing, plan.shortfall.len()), (5, 0, 0));
///
/// // 10,000 chunks and their parity: each on a fifth of the hubs of each region.
/// let before = plan.regions[0].layout(12_000)?;
/// let hubs = before.hubs().hubs().len();
/// assert_eq!(before.holders(11_999).count(), hubs.div_ceil(5));
///
/// // A hub is gone: about its share of the copies has to be made again, and nothing else moves.
/// let gone = before.hubs().hubs()[0];
/// nodes.retain(|candidate| candidate.node != gone);
/// let plan = plan_hierarchy(7, &nodes, Demand::ZERO, &limits)?;
/// let after = plan.regions[0].layout(12_000)?;
/// let total = hub_moves(&before, &after)?.total();
/// let held = before.pieces_of(gone).count() as u64;
/// assert!(total.moved + total.dropped >= held && total.moved <= held + held / 10);
///
/// let refused = plan.regions[0].layout(u64::MAX).unwrap_err();
/// assert!(matches!(refused, LayoutError::TooManyPieces { .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`HierarchyError`] when the limits cannot be, or a node is a candidate twice.
pub fn plan_hierarchy(
    resource_hash: u64,
    candidates: &[Candidate],
    demand: Demand,
    limits: &HierarchyLimits,
) -> Result<Hierarchy, HierarchyError> {
    limits.check()?;
    check_distinct(candidates)?;
    let mut by_region = BTreeMap::<RegionId, Vec<Ranked<'_>>>::new();
    for candidate in candidates {
        let score = node_score(resource_hash, candidate.tie, candidate.weight);
        by_region.entry(candidate.region).or_default().push((score, candidate));
    }
    for nodes in by_region.values_mut() {
        nodes.sort_unstable_by_key(|&(score, candidate)| (score, candidate.node));
    }
    // The order in which regions get what does not divide evenly.
    let mut order: Vec<RegionId> = by_region.keys().copied().collect();
    order.sort_by_key(|region| region_rank(resource_hash, region.0));

    let wanted = limits.seeds(demand);
    let seeds = choose_seeds(resource_hash, &by_region, &order, u64::from(wanted));
    let not_seed = |candidate: &Candidate| seeds.binary_search(&candidate.node).is_err();

    // A seed that is missing keeps its place: when it comes, no hub has to go.
    let mut places = u64::from(limits.nodes_max - wanted);
    let is_hub = |candidate: &Candidate| candidate.takes(Role::Hub) && not_seed(candidate);
    let hubs = choose(&by_region, &order, places, u64::from(limits.hubs_per_region_max), is_hub);
    places -= hubs.values().map(|hubs| length(hubs.len())).sum::<u64>();

    let mut taken: Vec<NodeRef> = hubs.values().flatten().map(|hub| hub.node).collect();
    taken.sort_unstable();
    let not_hub = |candidate: &Candidate| taken.binary_search(&candidate.node).is_err();
    let is_edge = |candidate: &Candidate| candidate.takes(Role::Edge) && not_seed(candidate) && not_hub(candidate);
    let edges = choose(&by_region, &order, places, u64::MAX, is_edge);

    let mut shortfall = Vec::new();
    for &region in by_region.keys() {
        let count = hubs.get(&region).map_or(0, |hubs| count_u32(hubs.len()));
        if count < limits.hubs_per_region_min {
            shortfall.push(HubShortfall { region, hubs: count, missing: limits.hubs_per_region_min - count });
        }
    }
    let nodes = |nodes: Vec<&Candidate>| nodes.iter().map(|candidate| candidate.node).collect();
    let spec = |hub: &&Candidate| HubSpec { node: hub.node, tie: hub.tie, weight: hub.weight };
    let hub_region = |(region, hubs): (RegionId, Vec<&Candidate>)| {
        RegionHubs::new(region, resource_hash, hubs.iter().map(spec).collect(), limits)
    };
    Ok(Hierarchy {
        seeds_missing: wanted - count_u32(seeds.len()),
        seeds,
        edges: edges.into_iter().map(|(region, edges)| RegionEdges { region, nodes: nodes(edges) }).collect(),
        regions: hubs.into_iter().map(hub_region).collect(),
        shortfall,
    })
}

fn check_distinct(candidates: &[Candidate]) -> Result<(), HierarchyError> {
    let mut nodes: Vec<NodeRef> = candidates.iter().map(|candidate| candidate.node).collect();
    nodes.sort_unstable();
    match nodes.windows(2).find(|pair| pair[0].index == pair[1].index) {
        Some(pair) => Err(HierarchyError::DuplicateNode { node: pair[1] }),
        None => Ok(()),
    }
}

/// Of what the limits bound, which are `u32`.
fn count_u32(len: usize) -> u32 {
    u32::try_from(len).expect("no more nodes than a limit says")
}

fn length(len: usize) -> u64 {
    u64::try_from(len).expect("a length fits 64 bits")
}

/// `total` seeds, even over the regions, and within each over its zones; in a zone the first of those that are able.
///
/// Numbers come before nodes: what a region or zone gets depends on how many able nodes each of them has. Were the best
/// node taken first wherever it is, one that comes could change the turn of all regions.
fn choose_seeds(
    resource_hash: u64,
    by_region: &BTreeMap<RegionId, Vec<Ranked<'_>>>,
    order: &[RegionId],
    total: u64,
) -> Vec<NodeRef> {
    let able =
        |region: &RegionId| by_region[region].iter().map(|&(_, node)| node).filter(|node| node.takes(Role::Seed));
    let rooms: Vec<u64> = order.iter().map(|region| length(able(region).count())).collect();
    let mut seeds = Vec::new();
    for (region, count) in order.iter().zip(share_evenly(total, &rooms)).filter(|&(_, count)| count > 0) {
        let mut zones = BTreeMap::<(u64, ZoneId), Vec<NodeRef>>::new();
        for candidate in able(region) {
            let rank = zone_rank(resource_hash, region.0, candidate.zone.0);
            zones.entry((rank, candidate.zone)).or_default().push(candidate.node);
        }
        let rooms: Vec<u64> = zones.values().map(|nodes| length(nodes.len())).collect();
        for (nodes, count) in zones.values().zip(share_evenly(count, &rooms)) {
            seeds.extend(nodes.iter().zip(0..count).map(|(&node, _)| node));
        }
    }
    seeds.sort_unstable();
    seeds
}

/// At most `total` nodes, even over the regions, at most `most` in one; in a region the first of those that are `able`.
fn choose<'a>(
    by_region: &BTreeMap<RegionId, Vec<Ranked<'a>>>,
    order: &[RegionId],
    total: u64,
    most: u64,
    able: impl Fn(&Candidate) -> bool,
) -> BTreeMap<RegionId, Vec<&'a Candidate>> {
    let able = |region: &RegionId| by_region[region].iter().map(|&(_, node)| node).filter(|node| able(node));
    let rooms: Vec<u64> = order.iter().map(|region| length(able(region).count()).min(most)).collect();
    let shares = order.iter().zip(share_evenly(total, &rooms)).filter(|&(_, count)| count > 0);
    shares.map(|(&region, count)| (region, able(&region).zip(0..count).map(|(node, _)| node).collect())).collect()
}
