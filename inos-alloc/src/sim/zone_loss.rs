//! A zone fails as a whole; when its pieces are elsewhere, a region fails.

use super::world::{Arrival, GIB, MIB, NOTICE_AFTER, World, blob, block, spec_of};
use super::{Options, Report, wide};
use crate::{Config, GRACE, MoveBudget, Policy, Temperature};
use core::time::Duration;

const TICK: Duration = Duration::from_secs(10);
const BUDGET: MoveBudget = MoveBudget { moves: 100, bytes: 100 * MIB };
/// For all transfers after the last decision.
const TRANSFERS: Duration = Duration::from_secs(120);

enum Event {
    Crash { region: u32, zone: Option<u32> },
    Notice(alloc::vec::Vec<u32>),
    Tick,
}

/// What came of one disaster.
#[derive(Default)]
struct Aftermath {
    nodes: u64,
    items: u64,
    moves: u64,
    /// Moves that could wait for the budget.
    waited: u64,
    whole_after: Option<Duration>,
}

pub(super) fn run(options: &Options, report: &mut Report) {
    let mut world = World::<Event>::new(options, Config::default(), (50, 150));
    for id in 0..options.nodes {
        world.join(spec_of(id, 10 * GIB));
    }
    let policy = Policy::default();
    let mut unplaced = 0u64;
    let count = u64::from(options.nodes);
    let specs = (0..count / 50)
        .map(|_| blob(300 * MIB))
        .chain((0..count / 20).map(|_| blob(20 * MIB)))
        .chain((0..count / 4).map(|_| block(MIB, Temperature::Hot)))
        .chain((0..count / 4).map(|_| block(MIB, Temperature::Cold)));
    for (id, spec) in (0u64..).zip(specs) {
        unplaced += u64::from(world.place(id, spec, &policy, Arrival::AtOnce).is_none());
    }
    world.settle();
    let groups = world.groups();

    let mut rules = Rules::default();
    let zone = disaster(&mut world, 0, Some(0), &mut rules);
    let after_zone = world.tally;
    let ready = world
        .resources()
        .iter()
        .all(|id| world.mesh.placement(id).is_some_and(|placed| placed.achieved.regions >= 1 && placed.shortfall == 0));
    let region = disaster(&mut world, 1, None, &mut rules);

    report.count("groups of items", groups, "");
    let milli = |time: Option<Duration>| time.unwrap_or(Duration::MAX);
    report.count("zone: nodes", zone.nodes, "nodes");
    report.count("zone: items lost", zone.items, "items");
    report.count("zone: items moved", zone.moves, "items");
    report.count("zone: of these within the budget of a tick", zone.waited, "items");
    report.time("zone: whole after", milli(zone.whole_after));
    report.count("region: nodes", region.nodes, "nodes");
    report.count("region: items lost", region.items, "items");
    report.count("region: items moved", region.moves, "items");
    report.count("region: of these within the budget of a tick", region.waited, "items");
    report.time("region: whole after", milli(region.whole_after));
    report.count("groups lost", world.tally.lost, "");
    report.count("groups unreadable for a while", world.tally.unreadable, "");
    report.promise("everything finds its place", unplaced == 0);
    report.promise("a zone takes nothing that cannot be read", after_zone.unreadable + after_zone.unrecoverable == 0);
    report.promise("after its repair every resource survives a region", ready);
    report
        .promise("a region takes nothing that cannot be read", world.tally.unreadable + world.tally.unrecoverable == 0);
    report.promise("what moves is what was lost", zone.moves == zone.items && region.moves == region.items);
    report.promise("repairs that may wait keep to the budget", rules.over_budget == 0);
    report.promise("the least tolerant is repaired first", rules.disorder == 0);
    for (what, aftermath) in [
        ("after the zone: whole within grace, budget and two minutes", &zone),
        ("after the region: whole within grace, budget and two minutes", &region),
    ] {
        let ticks = u32::try_from(aftermath.items / BUDGET.moves).unwrap_or(u32::MAX).saturating_add(2);
        let limit = GRACE + TICK * ticks + TRANSFERS;
        report.promise(what, aftermath.whole_after.is_some_and(|time| time <= limit));
    }
    report.promise("the books of both sides agree", world.books_agree());
    report.trace = world.trace.value();
}

#[derive(Default)]
struct Rules {
    over_budget: u64,
    disorder: u64,
}

fn disaster(world: &mut World<Event>, region: u32, zone: Option<u32>, rules: &mut Rules) -> Aftermath {
    let start = world.now;
    let end = start + Duration::from_secs(7_200);
    let (moves, displaced) = (world.tally.moves, world.tally.displaced);
    let mut aftermath = Aftermath::default();
    world.at(start + TICK, Event::Crash { region, zone });
    let urgency = |repair: &crate::Repair<u64>| (repair.unrecoverable > 0, repair.remaining.nodes);
    while let Some(event) = world.next(end) {
        match event {
            Event::Crash { region, zone } => {
                let nodes = world.nodes_in(region, zone);
                aftermath.nodes = wide(nodes.len());
                world.crash(&nodes);
                world.at(world.now + NOTICE_AFTER, Event::Notice(nodes));
            }
            Event::Notice(nodes) => {
                let plan = world.notice(&nodes);
                rules.disorder += u64::from(!plan.repairs.is_sorted_by_key(urgency));
                world.at(world.now + TICK, Event::Tick);
            }
            Event::Tick => {
                let repairs = world.mesh.repair(BUDGET, world.now);
                rules.disorder += u64::from(!repairs.is_sorted_by_key(urgency));
                let moved: u64 = repairs.iter().map(|repair| world.apply(repair)).sum();
                let bytes: u64 = moved.saturating_mul(MIB);
                rules.over_budget += u64::from(moved > BUDGET.moves || bytes > BUDGET.bytes);
                aftermath.waited += moved;
                if world.mesh.repairs_waiting() == 0 && world.wounded() == 0 {
                    aftermath.whole_after = Some(world.now - start - TICK);
                    break;
                }
                world.at(world.now + TICK, Event::Tick);
            }
        }
    }
    aftermath.items = world.tally.displaced - displaced;
    aftermath.moves = world.tally.moves - moves;
    aftermath
}
