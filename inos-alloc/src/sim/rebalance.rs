//! A quarter more nodes join a loaded mesh, and a rebalance with a budget goes on until it has nothing to do.

use super::report::{peak_permille, permille};
use super::world::{Arrival, GIB, MIB, World, block, spec_of};
use super::{Options, Report};
use crate::{Config, MoveBudget, Policy, Temperature};
use core::time::Duration;

/// Two thousandths of a node.
const BLOCK_BYTES: u64 = 2 * MIB;
const BLOCK_PERMILLE: u64 = 2;
/// Load of its own of each node, which cannot move.
const OWN_PERMILLE: u64 = 20;
const JOIN: Duration = Duration::from_secs(600);
const END: Duration = Duration::from_secs(14_400);
const TICK: Duration = Duration::from_secs(10);
/// Ticks without a move after which it is over: longer than reports and shares of newcomers take.
const QUIET_TICKS: u32 = 18;
const LEVEL_PERMILLE: u64 = 1050;

struct Tick;

pub(super) fn run(options: &Options, report: &mut Report) {
    let mut world = World::<Tick>::new(options, Config::default(), (OWN_PERMILLE, OWN_PERMILLE));
    for id in 0..options.nodes {
        world.join(spec_of(id, GIB));
    }
    let policy = Policy::default();
    let mut unplaced = 0u64;
    // 140 replicas for each node.
    for id in 0..u64::from(options.nodes) * 28 {
        unplaced +=
            u64::from(world.place(id, block(BLOCK_BYTES, Temperature::Warm), &policy, Arrival::AtOnce).is_none());
    }
    while world.next(JOIN).is_some() {}
    world.settle();
    let before = peak_permille(&world.true_loads());
    for id in options.nodes..options.nodes + options.nodes / 4 {
        world.join(spec_of(id, GIB));
    }
    world.settle();
    let loads = world.true_loads();
    let joined = peak_permille(&loads);
    let limit = loads.iter().sum::<u64>() * LEVEL_PERMILLE / 1000 / super::wide(loads.len());
    let minimum: u64 = loads.iter().map(|load| load.saturating_sub(limit).div_ceil(BLOCK_PERMILLE)).sum();

    let budget = MoveBudget { moves: u64::from(options.nodes) / 2, bytes: u64::MAX };
    let (mut level_after, mut quiet, mut over_budget, mut ticks) = (None, 0, 0u64, 0u64);
    world.at(JOIN + TICK, Tick);
    while world.next(END).is_some() {
        let moves = world.mesh.rebalance(budget, world.now);
        let count: u64 = moves.iter().map(|change| world.apply_move(change)).sum();
        over_budget += u64::from(count > budget.moves);
        ticks += u64::from(count > 0);
        if level_after.is_none() && peak_permille(&world.true_loads()) <= LEVEL_PERMILLE {
            level_after = Some(world.now - JOIN);
        }
        quiet = if count == 0 { quiet + 1 } else { 0 };
        if quiet == QUIET_TICKS {
            break;
        }
        world.at(world.now + TICK, Tick);
    }
    let rested = quiet == QUIET_TICKS;
    let after = peak_permille(&world.true_loads());
    report.milli("max/mean before", before, "");
    report.milli("max/mean with the new nodes", joined, "");
    report.milli("max/mean in the end", after, "");
    report.count("moves", world.tally.moves, "replicas");
    report.count("least possible", minimum, "replicas");
    report.milli("moves / least possible", permille(world.tally.moves, minimum), "");
    report.count("calls that moved something", ticks, "");
    report.count("budget of a call", budget.moves, "replicas");
    report.time("level after", level_after.unwrap_or(Duration::MAX));
    report.promise("everything finds its place", unplaced == 0);
    report.promise("max/mean comes to 1.05", after <= LEVEL_PERMILLE);
    report.promise("each call keeps to the budget", over_budget == 0);
    report.promise("then it rests", rested);
    report.promise("it moves at most a tenth more than it must", world.tally.moves * 10 <= minimum * 11);
    report.promise("nothing is lost", world.tally.lost + world.tally.unreadable == 0);
    report.promise("the books of both sides agree", world.books_agree());
    report.trace = world.trace.value();
}
