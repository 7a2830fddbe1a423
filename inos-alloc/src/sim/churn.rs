//! Nodes fail and return for two hours; then an hour of quiet, in which everything must become whole.
//!
//! Of the outages one in ten is over before anybody notices, six in ten within the grace, of the rest most keep their disk.

use super::report::permille;
use super::world::{Arrival, GIB, KIB, MIB, NOTICE_AFTER, World, blob, block, spec_of};
use super::{Options, Report, Rng, wide};
use crate::{Class, Config, Demand, GRACE, MoveBudget, Policy, ResourceSpec, Temperature};
use core::time::Duration;

const UNREST: Duration = Duration::from_secs(7_200);
const END: Duration = Duration::from_secs(10_800);
const TICK: Duration = Duration::from_secs(10);
/// Items of repairs that are not urgent, per tick.
const BUDGET: MoveBudget = MoveBudget { moves: 100, bytes: 256 * MIB };
/// Notice, transfers that queue, and one more try of a transfer whose source was down.
const URGENT_AT_MOST: Duration = Duration::from_secs(30);

enum Event {
    Fail,
    Notice(u32, u32),
    Return(u32),
    ReturnEmpty(u32),
    Tick,
    Exchange,
}

/// A resource of each class in turn.
fn resource(number: u64) -> ResourceSpec {
    let full = ResourceSpec { class: Class::Group, demand: Demand::FULL, ..blob(256 * KIB) };
    match number % 40 {
        0..10 => blob(512 * KIB),
        10..15 => block(MIB, Temperature::Hot),
        15..20 => block(MIB, Temperature::Warm),
        20..25 => block(MIB, Temperature::Cold),
        25..32 => full,
        32..39 => blob(5 * MIB),
        _ => blob(150 * MIB),
    }
}

pub(super) fn run(options: &Options, report: &mut Report) {
    let mut world = World::<Event>::new(options, Config::default(), (50, 150));
    for id in 0..options.nodes {
        world.join(spec_of(id, 10 * GIB));
    }
    let policy = Policy::default();
    let resources = u64::from(options.nodes) / 2;
    let mut unplaced = 0u64;
    for id in 0..resources {
        unplaced += u64::from(world.place(id, resource(id), &policy, Arrival::AtOnce).is_none());
    }
    world.settle();

    let mut rng = Rng::of_part(options.seed, 3);
    // Each node fails about twice in an hour.
    let gap = Duration::from_secs(14_000) / options.nodes;
    world.at(Duration::ZERO, Event::Fail);
    world.at(TICK, Event::Tick);
    world.at(3 * TICK, Event::Exchange);
    let (mut failures, mut kept_short, mut next, mut over_budget, mut disorder) = (0u64, 0u64, resources, 0u64, 0u64);
    let mut failed_for_good = 0u64;
    while let Some(event) = world.next(END) {
        let now = world.now;
        match event {
            Event::Fail => {
                let node = rng.below_u32(options.nodes);
                if world.is_up(node) {
                    world.crash(&[node]);
                    failures += 1;
                    world.at(now + NOTICE_AFTER, Event::Notice(node, world.life(node)));
                    let (outage_s, back) = match rng.below(20) {
                        0..2 => (2, Event::Return(node)),
                        2..14 => (10 + rng.below(240), Event::Return(node)),
                        14..17 => (400 + rng.below(800), Event::Return(node)),
                        _ => (60 + rng.below(840), Event::ReturnEmpty(node)),
                    };
                    kept_short += u64::from(outage_s < GRACE.as_secs());
                    failed_for_good += u64::from(matches!(back, Event::ReturnEmpty(_)));
                    world.at(now + Duration::from_secs(outage_s), back);
                }
                if now + gap < UNREST {
                    world.at(now + rng.around(gap), Event::Fail);
                }
            }
            Event::Notice(node, life) => {
                if !world.is_up(node) && world.life(node) == life {
                    let plan = world.notice(&[node]);
                    let urgency = |repair: &crate::Repair<u64>| (repair.unrecoverable > 0, repair.remaining.nodes);
                    disorder += u64::from(!plan.repairs.is_sorted_by_key(urgency));
                }
            }
            Event::Return(node) => world.come_back(node),
            Event::ReturnEmpty(node) => world.come_back_empty(node),
            Event::Tick => {
                let repairs = world.mesh.repair(BUDGET, now);
                let moves: u64 = repairs.iter().map(|repair| world.apply(repair)).sum();
                over_budget += u64::from(moves > BUDGET.moves);
                world.drain_expired();
                world.at(now + TICK, Event::Tick);
            }
            Event::Exchange => {
                unplaced += u64::from(world.place(next, resource(next), &policy, Arrival::AfterTransfer).is_none());
                let known = world.resources();
                let oldest = known.get(usize::try_from(rng.below(wide(known.len()))).unwrap_or(0)).copied();
                if let Some(id) = oldest {
                    world.release(id);
                }
                next += 1;
                if now < UNREST {
                    world.at(now + 3 * TICK, Event::Exchange);
                }
            }
        }
    }
    let known = world.resources();
    let short = known.iter().filter(|id| world.mesh.placement(id).is_none_or(|placed| placed.shortfall > 0)).count();
    let tally = world.tally;
    report.count("failures", failures, "nodes");
    report.count("of these shorter than the grace", kept_short, "nodes");
    report.count("of these with the disk lost", failed_for_good, "nodes");
    report.count("groups of items", world.groups(), "");
    report.count("items of failed nodes, less those they kept", tally.displaced, "items");
    report.count("items moved", tally.moves, "items");
    report.milli("moved / displaced", permille(tally.moves, tally.displaced), "");
    report.count("moved bytes", tally.moved_bytes / MIB, "MiB");
    report.time("longest urgent need", world.urgent_for());
    report.count("groups lost", tally.lost, "");
    report.count("groups unreadable for a while", tally.unreadable, "");
    report.count("resources short of their count in the end", wide(short), "");
    report.count("groups not whole in the end", world.wounded(), "");
    report.count("bookings expired", tally.bookings_expired, "");
    report.count("reports refused", tally.refused_reports, "");
    report.promise("everything finds its place", unplaced == 0);
    report.promise("nothing is lost", tally.lost == 0 && tally.unrecoverable == 0);
    report.promise("everything can be read at all times", tally.unreadable == 0);
    report
        .promise("nothing stays below its floor or half its tolerance for 30 s", world.urgent_for() <= URGENT_AT_MOST);
    report.promise(
        "what moves is what failed nodes held, within 5 %",
        (950..=1050).contains(&permille(tally.moves, tally.displaced)),
    );
    report.promise("repairs that may wait keep to the budget", over_budget == 0);
    report.promise("the least tolerant is repaired first", disorder == 0);
    report.promise("in the end everything is whole", world.wounded() == 0 && world.mesh.repairs_waiting() == 0);
    report.promise("in the end every resource has its count", short == 0);
    report.promise("the books of both sides agree", world.books_agree());
    report.trace = world.trace.value();
}
