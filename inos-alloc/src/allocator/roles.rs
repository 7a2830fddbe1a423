//! Resources in tiers: who is a seed or a hub, what is booked for it, and what a failure changes.

mod plan;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::mem;
use core::time::Duration;

use super::failover::Mended;
use super::{Allocator, Member, Resource, count_u32};
use crate::error::AllocateError;
use crate::hierarchy::{Hierarchy, HierarchyLimits, Role};
use crate::id::Id;
use crate::placement::{Placement, Repair, Tolerance};
use crate::policy::{ALLOCATE_MAX, MoveBudget, Policy};
use crate::spec::{Class, NodeRef, ResourceSpec};
use crate::target::Target;
use crate::units::{Capacity, RegionId};
use plan::{Planned, Shares, holders};

/// Seeds below this many are replaced at once, or below what there were: the floor of a blob.
const SEEDS_URGENT_BELOW: usize = 5;

/// Who has which role for a resource.
#[derive(Clone, Debug)]
pub(super) struct Roles {
    limits: HierarchyLimits,
    /// The plan in force. Every member has a role in it; a seed or hub that is no member has failed.
    plan: Hierarchy,
}

impl Roles {
    /// The role of a node that holds pieces.
    pub(super) fn of(&self, node: NodeRef) -> Option<Role> {
        if self.plan.seeds.binary_search(&node).is_ok() {
            return Some(Role::Seed);
        }
        let is_hub = self.plan.regions.iter().any(|region| region.hubs().binary_search(&node).is_ok());
        is_hub.then_some(Role::Hub)
    }
}

/// Seeds and hubs that a plan adds and what they have to be sent.
struct Cost {
    moves: u64,
    bytes: u64,
}

impl<N: Id, R: Id> Allocator<N, R> {
    /// Chooses seeds, hubs and edges of a blob as [`plan_hierarchy`](crate::plan_hierarchy) does, and books what seeds and
    /// hubs have to hold. [`Allocator::allocate`] does the same above 10 GiB with the default limits, of which `nodes_max` is
    /// then the count the blob deserves; this one takes the limits as they are, for a blob of any size.
    ///
    /// Candidates are the healthy nodes that are not drained and have the capabilities, weighted by their capacity. A seed
    /// holds `size` bytes, from which it can make the parity; a hub at most its [`caps`](crate::RegionHubs::caps) of
    /// [`hierarchy_pieces`](crate::hierarchy_pieces). That is booked, and no node comes to half load by it. Edges hold what
    /// they are asked for: nothing is booked for them, and they are no replicas.
    ///
    /// [`Placement::want`] counts the seeds wanted and
    /// [`hubs_per_region_max`](HierarchyLimits::hubs_per_region_max) hubs for each region that has candidates, at most
    /// [`nodes_max`](HierarchyLimits::nodes_max). Of the policy only `near` matters, for the primary: a seed if there is one.
    /// [`Allocator::hierarchy`] has the roles and what each region lacks. O(n log n) for `n` nodes of the mesh.
    ///
    /// ```
    /// # use core::time::Duration;
    /// use inos_alloc::{
    ///     AllocateError, Allocator, Capabilities, Capacity, Class, Config, Demand, HierarchyLimits, NodeSpec, Policy, RegionId,
    ///     Requirements, ResourceSpec, ZoneId, hierarchy_pieces, hub_moves,
    /// };
    ///
    /// let mut mesh = Allocator::<u32, u64>::new(Config::default());
    /// for id in 0..400 {
    ///     mesh.upsert(NodeSpec {
    ///         id,
    ///         region: RegionId(id % 4),
    ///         zone: ZoneId(id / 4 % 3),
    ///         capabilities: Capabilities::NONE,
    ///         capacity: Capacity { bytes: 1 << 40, memory_mb: 8192, bandwidth_kb_s: 10_000 },
    ///         price: 1,
    ///     });
    /// }
    /// let size = 20_000_000_000;
    /// let class = Class::Blob;
    /// let spec = ResourceSpec { size, demand: Demand::ZERO, budget: 500, class, requires: Requirements::default() };
    /// let (limits, policy, now) = (HierarchyLimits::default(), Policy::default(), Duration::ZERO);
    /// let placed = mesh.allocate_hierarchy(1, &spec, &limits, &policy, now)?;
    /// let before = mesh.hierarchy(&1).cloned().expect("it is placed");
    /// assert_eq!((before.seeds.len(), before.regions.len(), placed.granted), (5, 4, 400));
    /// assert_eq!(placed.achieved.regions, 3);
    ///
    /// // A hub is gone. Nothing is urgent: its role waits for it, then goes to another node, or its pieces to other hubs.
    /// let gone = before.regions[0].hubs()[0];
    /// let waits_until = mesh.node_failed(gone, now).repairs[0].waits_until.expect("one hub can wait");
    /// mesh.repair(inos_alloc::MoveBudget::UNLIMITED, waits_until);
    /// let after = mesh.hierarchy(&1).expect("it is still there");
    ///
    /// // Which pieces go where: the layouts before and after say it, region by region.
    /// let pieces = hierarchy_pieces(size);
    /// for (before, after) in before.regions.iter().zip(&after.regions).filter(|(before, after)| before != after) {
    ///     let (from, to) = (before.layout(pieces)?, after.layout(pieces)?);
    ///     let moves = hub_moves(&from, &to)?;
    ///     assert!(before.region() == RegionId(0) && moves.total().moved > 0);
    /// }
    ///
    /// let refused = mesh.allocate_hierarchy(2, &ResourceSpec { class: Class::Group, ..spec }, &limits, &policy, now);
    /// assert_eq!(refused, Err(AllocateError::NotABlob));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`AllocateError`]: placed already, no blob, limits that cannot be, or no node that can be a seed or a hub. Fewer than
    /// wanted are no error but a [`Placement::shortfall`].
    pub fn allocate_hierarchy(
        &mut self,
        resource: R,
        spec: &ResourceSpec,
        limits: &HierarchyLimits,
        policy: &Policy,
        now: Duration,
    ) -> Result<Placement, AllocateError> {
        self.check_new(&resource)?;
        if !matches!(spec.class, Class::Blob) {
            return Err(AllocateError::NotABlob);
        }
        limits.check()?;
        self.advance(now);
        let target = Target { want: 0, floor: 0, ceiling: limits.nodes_max };
        let mut placed = self.unplaced(resource, spec, policy, target);
        let (_, planned) = self.plan_anew(&placed, limits);
        if holders(&planned.plan).next().is_none() {
            return Err(AllocateError::NoUsableNode { want: planned.want, healthy: self.nodes.alive_count() });
        }
        placed.roles = Some(Roles { limits: *limits, plan: planned.plan.clone() }.into());
        let number = self.resources.insert(placed);
        self.numbers.insert(resource, number);
        self.adopt(number, planned);
        Ok(self.describe(&self.resources[number]))
    }

    /// Who is a seed, a hub or an edge of a resource: the plan in force. `None` for a resource that has no hierarchy.
    ///
    /// A seed or hub that failed keeps its place here until its repair: [`Allocator::is_healthy`] says whom to ask. Edges are
    /// those of the last decision. Keep a copy to see what a repair changes: what is in `seeds` now and was not has to be
    /// sent everything, and [`hub_moves`](crate::hub_moves) has what goes between hubs.
    #[must_use]
    pub fn hierarchy(&self, resource: &R) -> Option<&Hierarchy> {
        self.find(resource)?.roles.as_ref().map(|roles| &roles.plan)
    }

    /// Position of the member that leads best: a seed, when there is one.
    pub(super) fn best_leader(&self, placed: &Resource<R>) -> usize {
        let seed = |member: &&Member| placed.roles.as_ref().and_then(|roles| roles.of(member.node)) == Some(Role::Seed);
        let seeds: Vec<Member> = placed.members.iter().filter(seed).copied().collect();
        if seeds.is_empty() {
            return self.best_primary(&placed.members, placed.near, placed.rotation);
        }
        let best = seeds[self.best_primary(&seeds, placed.near, placed.rotation)].node;
        placed.members.iter().position(|member| member.node == best).unwrap_or(0)
    }

    /// Whether a repair of its roles cannot wait.
    pub(super) fn roles_are_urgent(placed: &Resource<R>, roles: &Roles) -> bool {
        let left = Left::of(placed, roles);
        left.seeds < SEEDS_URGENT_BELOW.min(roles.plan.seeds.len())
            || left.regions.iter().any(|&(_, copies, lost)| lost > 0 && lost * 2 >= copies)
    }

    /// What the seeds and hubs that are left survive, whichever pieces the lost hubs held; and 1 when they may not have
    /// everything.
    pub(super) fn roles_survival(&self, placed: &Resource<R>, roles: &Roles) -> (Tolerance, u64) {
        let left = Left::of(placed, roles);
        let mut nodes = left.seeds;
        let mut zones = BTreeSet::new();
        for node in roles.plan.seeds.iter().filter_map(|&seed| self.nodes.get_alive(seed)) {
            zones.insert(node.zone());
        }
        let seed_zones = zones.len();
        let mut regions: BTreeSet<RegionId> = zones.iter().map(|&(region, _)| region).collect();
        let mut without_seed = 0;
        for &(region, copies, lost) in left.regions.iter().filter(|(_, copies, lost)| lost < copies) {
            nodes += copies - lost;
            without_seed += usize::from(regions.insert(region));
        }
        let spare = |count: usize| count_u32(count).saturating_sub(1);
        // Copies of a region may be in one zone, and that may be a seed's.
        let zones = spare(seed_zones + without_seed);
        let tolerance = Tolerance { nodes: spare(nodes), zones, regions: spare(regions.len()) };
        // Every piece is on each seed, and on the hubs of a region until as many are lost as there are copies.
        let has_all = left.seeds > 0 || left.regions.iter().any(|&(_, copies, lost)| lost < copies);
        (tolerance, u64::from(!has_all))
    }

    /// Plans again and carries it out as far as the budget covers it.
    pub(super) fn mend_roles(&mut self, number: u32, budget: &mut MoveBudget) -> Mended<R> {
        let Some((planned, part)) = self.affordable_plan(number, budget) else {
            let repair = Repair { waits_until: Some(self.now), ..self.report_repair(number) };
            return Mended { repair, changed: false };
        };
        if holders(&planned.plan).next().is_none() {
            // Nobody can take anything: who had it keeps its role.
            let again = self.now.saturating_add(self.retry_after());
            self.queue_until(number, again);
            return Mended { repair: self.waiting(number), changed: false };
        }
        self.charge(number, &planned.plan, budget);
        let (mut repair, changed) = self.adopt(number, planned);
        self.go_on(number, part, &mut repair);
        Mended { repair, changed }
    }

    /// Queues what a plan leaves open.
    fn go_on(&mut self, number: u32, part: Part, repair: &mut Repair<R>) {
        match part {
            Part::Whole if repair.shortfall == 0 => self.unqueue(number),
            Part::Whole => {
                let again = self.now.saturating_add(self.retry_after());
                repair.waits_until = Some(again);
                self.queue_until(number, again);
            }
            Part::First => {
                repair.waits_until = Some(self.now);
                self.queue_due(number);
            }
        }
    }

    /// Gives the role of a node that is drained to others. `None`, and no change, when they cannot take it, the budget does not
    /// cover that, or they would have no source.
    pub(super) fn leave_roles(&mut self, number: u32, node: NodeRef, budget: &mut MoveBudget) -> Option<Repair<R>> {
        let placed = &self.resources[number];
        let roles = placed.roles.as_ref().filter(|_| self.survival(placed).1 == 0)?;
        let seeds = Left::of(placed, roles).seeds;
        let region = roles.plan.regions.iter().find(|region| region.hubs().contains(&node)).map(|hubs| hubs.region());
        let (planned, part) = self.affordable_plan(number, budget)?;
        let plan = &planned.plan;
        let still_there = |region| plan.regions.iter().any(|hubs| hubs.region() == region);
        if plan.seeds.len() < seeds || !region.is_none_or(still_there) || holders(plan).next().is_none() {
            return None;
        }
        self.charge(number, plan, budget);
        let (mut repair, _) = self.adopt(number, planned);
        self.go_on(number, part, &mut repair);
        Some(repair)
    }

    /// The plan with as many new nodes as the budget covers, and whether that is all of it.
    fn affordable_plan(&self, number: u32, budget: &MoveBudget) -> Option<(Planned, Part)> {
        let placed = &self.resources[number];
        let roles = placed.roles.as_ref()?;
        let mut most = usize::MAX;
        let mut part = Part::Whole;
        while most > 0 {
            let planned = self.plan_again(placed, roles, most);
            let cost = self.cost(placed, &planned.plan);
            if budget.covers(cost.moves, cost.bytes) {
                return Some((planned, part));
            }
            let held = |node: &NodeRef| placed.members.iter().any(|member| member.node == *node);
            let recruits = holders(&planned.plan).filter(|node| !held(node)).count();
            most = recruits.min(most) / 2;
            part = Part::First;
        }
        None
    }

    fn charge(&self, number: u32, plan: &Hierarchy, budget: &mut MoveBudget) {
        let Cost { moves, bytes } = self.cost(&self.resources[number], plan);
        budget.take(moves, bytes);
    }

    fn cost(&self, placed: &Resource<R>, plan: &Hierarchy) -> Cost {
        let held: BTreeMap<NodeRef, u64> =
            placed.members.iter().map(|member| (member.node, member.covered_bytes)).collect();
        let was_seed = |node| placed.roles.as_ref().and_then(|roles| roles.of(node)) == Some(Role::Seed);
        let mut cost = Cost { moves: 0, bytes: 0 };
        for (node, share) in Shares::of(plan, placed.spec.size).0 {
            let promoted = share.role == Role::Seed && !was_seed(node);
            cost.moves += u64::from(promoted || !held.contains_key(&node));
            cost.bytes = cost.bytes.saturating_add(share.bytes.saturating_sub(held.get(&node).copied().unwrap_or(0)));
        }
        cost
    }

    /// Makes a plan the one in force: lets go who has no role in it, books what is new, and gives back what is not needed.
    /// Answers whether anyone who holds pieces has another share than before.
    fn adopt(&mut self, number: u32, planned: Planned) -> (Repair<R>, bool) {
        let Planned { plan, want } = planned;
        let mut shares = Shares::of(&plan, self.resources[number].spec.size).0;
        let placed = &mut self.resources[number];
        let Some(roles) = placed.roles.as_mut() else { unreachable!("a plan is for a resource with roles") };
        let before = mem::replace(&mut roles.plan, plan);
        let changed =
            placed.members.is_empty() || before.seeds != roles.plan.seeds || before.regions != roles.plan.regions;
        let primary = placed.members.first().map(|member| member.node);
        let members = mem::take(&mut placed.members);
        placed.absent.clear();
        placed.want = want;
        self.seq += u64::from(changed);
        let mut stayed = Vec::with_capacity(members.len());
        let mut dropped = Vec::new();
        for mut member in members {
            if let Some(share) = shares.remove(&member.node) {
                self.hold(number, &mut member, share.bytes);
                member.pieces = share.pieces;
                stayed.push(member);
            } else {
                self.detach_moved(member.node, member.link);
                dropped.push(member.node);
            }
        }
        let mut recruits: Vec<_> = shares.into_iter().collect();
        recruits.sort_by_key(|&(node, share)| (Reverse(share.role), node));
        let recruited: Vec<NodeRef> = recruits.iter().map(|&(node, _)| node).collect();
        let memory_mb = self.resources[number].spec.requires.memory_mb;
        for (node, share) in recruits {
            let need = Capacity { bytes: share.bytes, memory_mb, bandwidth_kb_s: 0 };
            let link = self.nodes.attach(node.index, number);
            self.nodes.book(link, need, self.term());
            stayed.push(Member { node, link, over_target: false, covered_bytes: share.bytes, pieces: share.pieces });
        }
        let placed = &mut self.resources[number];
        placed.members = stayed;
        if changed {
            placed.seq = self.seq;
        }
        let new_primary = self.lead(number, primary, &before, &recruited);
        let repair = Repair { new_primary, recruited, dropped, ..self.report_repair(number) };
        (repair, changed)
    }

    /// Puts the primary first: the one there was, unless it is gone or a seed that has everything is there and it is none.
    fn lead(
        &mut self,
        number: u32,
        primary: Option<NodeRef>,
        before: &Hierarchy,
        recruited: &[NodeRef],
    ) -> Option<NodeRef> {
        let placed = &self.resources[number];
        let Some(roles) = &placed.roles else { return None };
        let seeded = |node: NodeRef| before.seeds.contains(&node) && roles.of(node) == Some(Role::Seed);
        let is_new = |node: NodeRef| recruited.contains(&node);
        let rank = |member: &Member| match (seeded(member.node), is_new(member.node), roles.of(member.node)) {
            (true, false, _) => 0,
            (false, false, _) => 1,
            (_, true, Some(Role::Seed)) => 2,
            (_, true, _) => 3,
        };
        let best_rank = placed.members.iter().map(rank).min()?;
        let leaders: Vec<Member> = placed.members.iter().filter(|member| rank(member) == best_rank).copied().collect();
        let keeps = leaders.iter().find(|member| Some(member.node) == primary);
        let best = self.best_primary(&leaders, placed.near, placed.rotation);
        let leader = keeps.map_or(leaders[best].node, |member| member.node);
        let members = &mut self.resources[number].members;
        let at = members.iter().position(|member| member.node == leader)?;
        members[..=at].rotate_right(1);
        (Some(leader) != primary).then_some(leader)
    }

    /// Books what a member has to hold beyond what it has, or gives back what it has beyond that.
    fn hold(&mut self, number: u32, member: &mut Member, bytes: u64) {
        let has = member.covered_bytes;
        member.covered_bytes = bytes;
        if bytes > has {
            self.nodes.book(member.link, Capacity { bytes: bytes - has, ..Capacity::default() }, self.term());
            let load = self.nodes.get(member.node).map_or(0, |node| node.effective_permille());
            member.over_target |= load >= u32::from(ALLOCATE_MAX.value());
        } else if bytes < has {
            // What no booking counts, its reports do, until they count the change.
            let booked = self.nodes.booked_on(member.link);
            let counted = self.nodes.need_of(member.link).saturating_sub(booked);
            let reported = bytes.min(has.saturating_sub(booked.bytes));
            self.nodes.detach(member.link);
            member.link = self.nodes.attach(member.node.index, number);
            let need = Capacity { bytes: bytes - reported, ..booked };
            if need != Capacity::default() {
                self.nodes.book_again(member.link, need, self.term());
            }
            self.nodes.count(member.link, Capacity { bytes: reported.min(counted.bytes), ..counted });
        }
    }
}

/// Whether a plan is all that is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Whole,
    First,
}

/// Who of a plan is left.
struct Left {
    seeds: usize,
    /// Of each region that has hubs: how many copies of a piece there were, and how many hubs are lost.
    regions: Vec<(RegionId, usize, usize)>,
}

impl Left {
    fn of<R>(placed: &Resource<R>, roles: &Roles) -> Self {
        let members: BTreeSet<NodeRef> = placed.members.iter().map(|member| member.node).collect();
        let regions = roles.plan.regions.iter().map(|hubs| {
            let lost = hubs.hubs().iter().filter(|hub| !members.contains(hub)).count();
            (hubs.region(), usize::try_from(hubs.copies()).unwrap_or(usize::MAX), lost)
        });
        let regions = regions.collect();
        Self { seeds: roles.plan.seeds.iter().filter(|seed| members.contains(seed)).count(), regions }
    }
}
