//! A resource of 100 GB: hubs fail one by one and return, and then a zone fails.

use super::report::{Trace, permille};
use super::world::{GIB, spec_of};
use super::{Options, Report, Rng, narrow, wide};
use crate::id::mix;
use crate::{
    Candidate, Demand, Hierarchy, HierarchyLimits, HubLayout, NodeRef, PIECE_BYTES, Role, hub_moves, plan_hierarchy,
};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec;
use alloc::vec::Vec;

/// With fewer nodes the resource is a tenth as large.
const LARGE_FROM: u32 = 500;
const LARGE_BYTES: u64 = 100_000_000_000;
const FAILURES: u32 = 6;

/// The plan in force.
struct Plan {
    hierarchy: Hierarchy,
    layouts: BTreeMap<u32, HubLayout>,
}

#[derive(Default)]
struct Tally {
    plans: u64,
    moved: u64,
    grown: u64,
    dropped: u64,
    /// Pieces of hubs that went, and of those that came.
    left: u64,
    got: u64,
    /// Pieces that a region lacks after a change.
    holes: u64,
    /// Fewest hubs of a piece that had it before a change, are there, and have it after.
    least_kept: Option<u64>,
    bad: u64,
}

pub(super) fn run(options: &Options, report: &mut Report) {
    let bytes = if options.nodes >= LARGE_FROM { LARGE_BYTES } else { 11 * GIB };
    let data = bytes.div_ceil(PIECE_BYTES);
    let pieces = data + data.div_ceil(5);
    let mut rng = Rng::of_part(options.seed, 1);
    let mut trace = Trace::default();
    let mut up = vec![true; narrow(options.nodes)];
    let mut tally = Tally::default();
    let Some(mut plan) = make(options, &up, None, pieces, &mut trace) else {
        report.promise("the plan can be made", false);
        return;
    };
    let first = (plan.hierarchy.seeds.len(), plan.hierarchy.regions.iter().map(|region| region.hubs().len()).sum());
    let (seeds, hubs): (usize, usize) = first;
    let edges: usize = plan.hierarchy.edges.iter().map(|edges| edges.nodes.len()).sum();
    let copies = plan.layouts.values().map(|layout| u64::from(layout.hubs().copies())).min().unwrap_or(0);
    tally.holes += holes(&plan, pieces);

    let mut single = Tally::default();
    for _ in 0..FAILURES {
        let all: Vec<NodeRef> = plan.hierarchy.regions.iter().flat_map(|region| region.hubs()).copied().collect();
        let hub = all[usize::try_from(rng.below(wide(all.len()))).unwrap_or(0)].index;
        for present in [false, true] {
            up[narrow(hub)] = present;
            step(options, &up, &mut plan, pieces, &mut trace, &mut single);
        }
    }
    let mut zone = Tally::default();
    for present in [false, true] {
        for id in 0..options.nodes {
            let spec = spec_of(id, 0);
            if (spec.region.0, spec.zone.0) == (2, 1) {
                up[narrow(id)] = present;
            }
        }
        step(options, &up, &mut plan, pieces, &mut trace, &mut zone);
    }
    for part in [&single, &zone] {
        tally.holes += part.holes;
        tally.bad += part.bad;
        tally.plans += part.plans;
    }
    report.count("pieces, a sixth of them parity", pieces, "pieces");
    report.count("seeds", wide(seeds), "nodes");
    report.count("hubs", wide(hubs), "nodes");
    report.count("edges", wide(edges), "nodes");
    report.count("copies of a piece in each region, at least", copies, "copies");
    report.count("changes of the plan", tally.plans, "");
    report.count("single hubs: copies on those that went", single.left, "copies");
    report.count("single hubs: copies on those that came in their place", single.got, "copies");
    report.count("single hubs: copies moved", single.moved, "copies");
    report.milli("single hubs: moved / copies on those that went", permille(single.moved, single.left), "");
    report.count("zone: copies on the hubs that went", zone.left, "copies");
    report.count("zone: copies on the hubs that came in their place", zone.got, "copies");
    report.count("zone: copies moved", zone.moved, "copies");
    report.count("zone: copies more or fewer", zone.grown + zone.dropped, "copies");
    report.count("pieces that a region lacks", tally.holes, "pieces");
    report.count("single hubs: fewest copies that stay in the region", single.least_kept.unwrap_or(0), "copies");
    report.count("zone: fewest copies that stay in the region", zone.least_kept.unwrap_or(0), "copies");
    report.promise("every region has every piece, always", tally.holes == 0 && tally.bad == 0);
    report.promise("through a change of one hub a region keeps a copy of each piece", single.least_kept >= Some(1));
    report.promise(
        "a hub that comes or goes moves at most 5 % more than its share",
        (single.moved + single.dropped) * 100 <= (single.left + single.got) * 105,
    );
    report.promise("there are the seeds that were wanted", plan.hierarchy.seeds_missing == 0);
    report.trace = trace.value();
}

fn make(options: &Options, up: &[bool], now: Option<&Plan>, pieces: u64, trace: &mut Trace) -> Option<Plan> {
    let mut roles: BTreeMap<NodeRef, Role> = BTreeMap::new();
    if let Some(now) = now {
        roles.extend(now.hierarchy.edges.iter().flat_map(|edges| &edges.nodes).map(|&node| (node, Role::Edge)));
        roles.extend(now.hierarchy.regions.iter().flat_map(|region| region.hubs()).map(|&node| (node, Role::Hub)));
        roles.extend(now.hierarchy.seeds.iter().map(|&node| (node, Role::Seed)));
    }
    let present = (0..options.nodes).filter(|&id| up[narrow(id)]);
    let candidates: Vec<Candidate> = present
        .map(|id| {
            let node = NodeRef { index: id, generation: 0 };
            let (spec, drawn) = (spec_of(id, 0), mix(options.seed ^ mix(u64::from(id))));
            Candidate {
                node,
                region: spec.region,
                zone: spec.zone,
                weight: 1 + u32::try_from(drawn % 4).unwrap_or(0),
                tie: drawn,
                load_permille: 100 + u32::try_from(drawn >> 32 & 0xff).unwrap_or(0),
                able: Role::Seed,
                current: roles.get(&node).copied(),
            }
        })
        .collect();
    let hierarchy = plan_hierarchy(options.seed, &candidates, Demand::ZERO, &HierarchyLimits::default()).ok()?;
    let mut layouts = BTreeMap::new();
    for region in &hierarchy.regions {
        let same = now.and_then(|now| now.layouts.get(&region.region().0)).filter(|layout| layout.hubs() == region);
        let layout = match same {
            Some(layout) => layout.clone(),
            None => region.layout(pieces).ok()?,
        };
        layouts.insert(region.region().0, layout);
    }
    for &node in &hierarchy.seeds {
        trace.add(u64::from(node.index));
    }
    Some(Plan { hierarchy, layouts })
}

/// Makes the plan anew and counts what changes.
fn step(options: &Options, up: &[bool], plan: &mut Plan, pieces: u64, trace: &mut Trace, tally: &mut Tally) {
    let Some(after) = make(options, up, Some(plan), pieces, trace) else {
        tally.bad += 1;
        return;
    };
    tally.plans += 1;
    for (region, layout) in &after.layouts {
        let Some(before) = plan.layouts.get(region) else { continue };
        let (old, new) = (before.hubs().hubs(), layout.hubs().hubs());
        if old == new {
            continue;
        }
        // An edge takes the place of a hub that goes: one leaves and one comes.
        let gone = old.iter().filter(|hub| new.binary_search(hub).is_err());
        let come = new.iter().filter(|hub| old.binary_search(hub).is_err());
        let left: u64 = gone.map(|&hub| wide(before.pieces_of(hub).count())).sum();
        let got: u64 = come.map(|&hub| wide(layout.pieces_of(hub).count())).sum();
        tally.left += left;
        tally.got += got;
        let Ok(changes) = hub_moves(before, layout) else {
            tally.bad += 1;
            continue;
        };
        for change in changes {
            let count = change.count();
            tally.moved += count.moved;
            tally.grown += count.grown;
            tally.dropped += count.dropped;
            trace.add(change.piece ^ count.moved.rotate_left(32));
            let there = |&node: &NodeRef| up[narrow(node.index)];
            let kept = wide(change.kept().filter(there).count() + change.left().filter(there).count());
            tally.least_kept = Some(tally.least_kept.map_or(kept, |least| least.min(kept)));
        }
    }
    tally.holes += holes(&after, pieces);
    *plan = after;
}

/// Pieces that are not on as many distinct hubs of a region as they are to be.
fn holes(plan: &Plan, pieces: u64) -> u64 {
    let regions: BTreeSet<u32> = plan.hierarchy.regions.iter().map(|region| region.region().0).collect();
    let of = |region: &u32| {
        let Some(layout) = plan.layouts.get(region) else { return pieces };
        let copies = layout.hubs().copies();
        let whole = (0..pieces).filter(|&piece| layout.set(piece).is_some_and(|set| set.len() == copies));
        pieces - wide(whole.count())
    };
    regions.iter().map(of).sum()
}
