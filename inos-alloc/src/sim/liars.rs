//! One node in a hundred reports that it is idle, whatever it carries, and serves badly: nobody notices before it is read.

use super::report::{Trace, permille};
use super::world::{Arrival, GIB, MIB, World, block, spec_of};
use super::{Options, Report, Rng, narrow, wide};
use crate::trust::{Outcome, TrustPolicy};
use crate::{Config, NodeRef, Policy, Temperature};
use alloc::collections::VecDeque;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

const END: Duration = Duration::from_secs(600);
const SECOND: Duration = Duration::from_secs(1);
/// Two thousandths of a node.
const BLOCK_BYTES: u64 = 2 * MIB;
const BLOCK_PERMILLE: u64 = 2;
/// Blocks are read this long after they were placed at the earliest: until then nobody knows how a node serves.
const READ_AFTER: Duration = Duration::from_secs(60);

struct Second;

/// What the two kinds of nodes got.
struct Shares {
    /// Replicas of each, in thousandths.
    liar: u64,
    honest: u64,
    /// Most thousandths that a liar was given in one minute.
    most_in_a_minute: u64,
    /// Honest nodes that are held back in the end.
    held_back: u64,
    bad: u64,
    served: u64,
    unplaced: u64,
}

pub(super) fn run(options: &Options, report: &mut Report) {
    let mut trace = Trace::default();
    let default = TrustPolicy::default();
    let off = simulate(options, TrustPolicy { first_share_permille: 1000, ..default }, &mut trace);
    let on = simulate(options, default, &mut trace);
    let liars = u64::from(options.nodes / 100);
    report.count("liars", liars, "nodes");
    report.milli("without slow start: replicas of a liar", off.liar, "replicas");
    report.milli("without slow start: replicas of an honest node", off.honest, "replicas");
    report.milli("without slow start: ratio", permille(off.liar, off.honest), "");
    report.count("without slow start: most given to a liar in a minute", off.most_in_a_minute, "thousandths");
    report.milli("without slow start: bad answers", permille(off.bad, off.bad + off.served), "");
    report.milli("with slow start: replicas of a liar", on.liar, "replicas");
    report.milli("with slow start: replicas of an honest node", on.honest, "replicas");
    report.milli("with slow start: ratio", permille(on.liar, on.honest), "");
    report.count("with slow start: most given to a liar in a minute", on.most_in_a_minute, "thousandths");
    report.milli("with slow start: bad answers", permille(on.bad, on.bad + on.served), "");
    report.count("with slow start: honest nodes held back in the end", on.held_back, "nodes");
    report.promise("everything finds its place", off.unplaced + on.unplaced == 0);
    let first = u64::from(default.first_share_permille);
    // A minute of the clock touches two windows at most.
    report.promise("a liar gets its first share in each window", on.most_in_a_minute <= 2 * (first + BLOCK_PERMILLE));
    report.promise("what a node carries counts, whatever it says", off.liar * 10 <= off.honest * 11);
    report.promise("with a slow start a liar gets less than an honest node", on.liar < on.honest);
    report.promise("honest nodes are not held back", on.held_back * 100 <= u64::from(options.nodes));
    report.trace = trace.value();
}

fn simulate(options: &Options, trust: TrustPolicy, trace: &mut Trace) -> Shares {
    let liars = options.nodes / 100;
    let mut world = World::<Second>::new(options, Config { trust, ..Config::default() }, (100, 200));
    for id in 0..options.nodes {
        world.join(spec_of(id, GIB));
    }
    let mut rng = Rng::of_part(options.seed, 3);
    // Where liars are is drawn: ids next to each other are in different regions anyway.
    let mut is_liar = vec![false; narrow(options.nodes)];
    let mut chosen = 0;
    while chosen < liars {
        let node = rng.below_u32(options.nodes);
        if !is_liar[narrow(node)] {
            is_liar[narrow(node)] = true;
            world.lies(node);
            chosen += 1;
        }
    }
    world.settle();
    let policy = Policy::default();
    let mut placed: Vec<NodeRef> = Vec::new();
    let mut fresh: VecDeque<(Duration, NodeRef)> = VecDeque::new();
    let mut given = vec![0u64; narrow(options.nodes)];
    let mut in_minute = given.clone();
    let mut shares = Shares { liar: 0, honest: 0, most_in_a_minute: 0, held_back: 0, bad: 0, served: 0, unplaced: 0 };
    let mut next = 0u64;
    world.at(SECOND, Second);
    while world.next(END).is_some() {
        let now = world.now;
        for _ in 0..options.nodes / 35 {
            next += 1;
            let Some(answer) =
                world.place(next, block(BLOCK_BYTES, Temperature::Warm), &policy, Arrival::AfterTransfer)
            else {
                shares.unplaced += 1;
                continue;
            };
            for node in answer.replicas {
                fresh.push_back((now + READ_AFTER, node));
                let Some(number) = world.number(node) else { continue };
                given[narrow(number)] += 1;
                in_minute[narrow(number)] += BLOCK_PERMILLE;
            }
        }
        while fresh.front().is_some_and(|&(at, _)| at <= now) {
            placed.extend(fresh.pop_front().map(|(_, node)| node));
        }
        for _ in 0..options.nodes / 2 {
            if placed.is_empty() {
                break;
            }
            let node = placed[usize::try_from(rng.below(wide(placed.len()))).unwrap_or(0)];
            let Some(number) = world.number(node) else { continue };
            let draw = rng.below(100);
            let outcome = match (is_liar[narrow(number)], draw) {
                (true, 0..80) => Outcome::Bad,
                (true, 80..90) => Outcome::Gone,
                (false, 0..2) => Outcome::Late,
                _ => Outcome::Served,
            };
            match outcome {
                Outcome::Served => shares.served += 1,
                _ => shares.bad += 1,
            }
            world.mesh.observe_outcome(node, outcome, now);
        }
        if now.as_secs().is_multiple_of(60) {
            for (given, _) in in_minute.iter_mut().zip(&is_liar).filter(|&(_, &lies)| lies) {
                shares.most_in_a_minute = shares.most_in_a_minute.max(*given);
                *given = 0;
            }
        }
        world.at(now + SECOND, Second);
    }
    let sum = |lying: bool| -> u64 {
        given.iter().zip(&is_liar).filter(|&(_, &lies)| lies == lying).map(|(&given, _)| given).sum()
    };
    shares.liar = permille(sum(true), u64::from(liars));
    shares.honest = permille(sum(false), u64::from(options.nodes - liars));
    let full = trust.first_share_permille.max(1000);
    let held_back = (0..options.nodes).filter(|&node| !is_liar[narrow(node)]);
    let held_back =
        held_back.filter(|&node| world.mesh.load(world.handle(node)).is_some_and(|load| load.share_permille < full));
    shares.held_back = wide(held_back.count());
    trace.add(world.trace.value());
    shares
}
