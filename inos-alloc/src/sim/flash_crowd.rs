//! The demand for one object doubles every four minutes until it is a hundredfold, stays, and is gone at once.
//!
//! The monitor sees what the mean replica serves. The allocator has no call that changes the count of a resource, so a step
//! releases the object and allocates it anew. What it was on serves until the others have it, and deletes it then.

use super::world::{Arrival, GIB, KIB, World, blob, spec_of};
use super::{Options, Report, Rng, narrow};
use crate::{
    ChunkRouter, Config, DemandMonitor, DemandPolicy, NodeRef, Policy, RegionId, Replicas, RequestEnd, RequestId,
    RouteSelect, RouterConfig, Scale, Signals, Tier, Tiers,
};
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

const REGIONS: u32 = 6;
const OBJECT: u64 = 1;
const OBJECT_BYTES: u64 = 512 * KIB;
const FLOOR: u32 = 5;
const CEILING: u32 = 200;
/// A node answers one request after the other, each in this time.
const SERVICE: Duration = Duration::from_millis(50);
const NODE_PER_SECOND: u64 = 20;
/// What a replica serves at full demand: half of a node.
const FULL_PER_SECOND: u64 = 10;
/// The crowd asks for a hundred times of what is asked for before.
const RISES: u64 = 100;
/// What is asked for before, with fewer nodes than `LARGE_FROM` and with more.
const BASE_PER_SECOND: (u64, u64) = (1, 5);
const LARGE_FROM: u32 = 300;
const RISE: Duration = Duration::from_secs(300);
const DOUBLING_S: u64 = 240;
const FALL: Duration = Duration::from_secs(2_400);
const END: Duration = Duration::from_secs(5_400);
/// At the end nothing may change for this long.
const REST: Duration = Duration::from_secs(600);
const SECOND: Duration = Duration::from_secs(1);
/// Load is a mean over this time.
const MEASURE: Duration = Duration::from_secs(10);
const RECORD: Duration = Duration::from_secs(15);

enum Event {
    Second,
    Ask { region: u32 },
    Answer { region: u32, request: RequestId },
    Measure,
    Record,
}

fn per_second(base: u64, now: Duration) -> u64 {
    if !(RISE..FALL).contains(&now) {
        return base;
    }
    let since = (now - RISE).as_secs();
    let (doublings, rest) = (since / DOUBLING_S, since % DOUBLING_S);
    let at_doubling = base << doublings.min(10);
    (at_doubling + at_doubling * rest / DOUBLING_S).min(base * RISES)
}

/// The floor at first, up to the ceiling later.
fn policy() -> Policy {
    let tier = Tier { size_below: u64::MAX, base: FLOOR, ceiling: CEILING };
    Policy { tiers: Tiers { floor: FLOOR, tiers: [tier; 6], ..Tiers::default() }, ..Policy::default() }
}

struct Crowd {
    world: World<Event>,
    routers: Vec<ChunkRouter<u64>>,
    /// What the routers were told.
    told: Vec<NodeRef>,
    /// Replicas that had to be copied.
    copied: u64,
    short: u64,
}

impl Crowd {
    fn count(&self) -> u32 {
        self.world.mesh.placement(&OBJECT).map_or(0, |placed| placed.granted)
    }

    fn set_count(&mut self, count: u32) {
        let before = self.world.tally.moves;
        let shortfall = self.world.resize(OBJECT, count);
        self.copied += self.world.tally.moves - before;
        self.short += u64::from(shortfall != Some(0));
    }

    /// Tells the routers who has the object by now.
    fn tell(&mut self) {
        let holders = self.world.holders_whole(OBJECT);
        if holders != self.told {
            for router in &mut self.routers {
                let known = router.set_holders(OBJECT, &holders);
                debug_assert!(known.is_ok(), "fewer holders than a router takes");
            }
            self.told = holders;
        }
    }
}

pub(super) fn run(options: &Options, report: &mut Report) {
    let base = if options.nodes < LARGE_FROM { BASE_PER_SECOND.0 } else { BASE_PER_SECOND.1 };
    let mut world = World::new(options, Config::default(), (50, 150));
    for id in 0..options.nodes {
        world.join(spec_of(id, 10 * GIB));
    }
    for (a, b) in (0..REGIONS).flat_map(|a| (a..REGIONS).map(move |b| (a, b))) {
        let apart = (b - a).min(REGIONS + a - b);
        world.mesh.set_latency(RegionId(a), RegionId(b), Duration::from_millis(10 + 40 * u64::from(apart)));
    }
    world.settle();
    let routers = (0..REGIONS).map(|region| {
        let seed = options.seed ^ u64::from(region) << 32;
        ChunkRouter::new(RouterConfig { seed, select: RouteSelect::TwoChoices, ..RouterConfig::default() })
    });
    let mut crowd = Crowd { routers: routers.collect(), world, told: Vec::new(), copied: 0, short: 0 };
    let _ = crowd.world.place(OBJECT, blob(OBJECT_BYTES), &policy(), Arrival::AtOnce);

    let full = Signals {
        accesses: FULL_PER_SECOND,
        network_bytes: FULL_PER_SECOND * OBJECT_BYTES,
        compute_ms: FULL_PER_SECOND * 2,
        credits: FULL_PER_SECOND,
    };
    let policy = DemandPolicy { movement_min: CEILING / 2, ..DemandPolicy::new(full) };
    let Ok(mut monitor) = DemandMonitor::<u64>::new(policy) else {
        report.promise("the monitor takes the policy", false);
        return;
    };
    let mut rng = Rng::of_part(options.seed, 3);
    for (at, event) in [(SECOND, Event::Second), (MEASURE, Event::Measure), (RECORD, Event::Record)] {
        crowd.world.at(at, event);
    }
    let mut asked_of = vec![0u64; narrow(options.nodes)];
    let (mut asked, mut refused, mut since_record, mut most_load, mut most) = (0u64, 0u64, 0u64, 0u64, FLOOR);
    let mut last_change = Duration::ZERO;
    let mut free_at = vec![Duration::ZERO; narrow(options.nodes)];
    let mut took: Vec<Duration> = Vec::new();
    let mut steps = BTreeMap::new();
    while let Some(event) = crowd.world.next(END) {
        let now = crowd.world.now;
        match event {
            Event::Second => {
                crowd.tell();
                let count = u32::try_from(per_second(base, now)).unwrap_or(1);
                for number in 0..count {
                    let at = now + SECOND * number / count;
                    crowd.world.at(at, Event::Ask { region: rng.below_u32(REGIONS) });
                }
                crowd.world.at(now + SECOND, Event::Second);
            }
            Event::Ask { region } => {
                asked += 1;
                since_record += 1;
                let (router, from) = (&mut crowd.routers[narrow(region)], RegionId(region));
                let Some(node) = router.route(&OBJECT, from, &crowd.world.mesh, now) else {
                    refused += 1;
                    continue;
                };
                let request = router.started(node, from, &crowd.world.mesh, now);
                let Some(number) = crowd.world.number(node) else { continue };
                asked_of[narrow(number)] += 1;
                let region_of = crowd.world.spec(number).region;
                let distance = crowd.world.mesh.region_latency(from, region_of).unwrap_or_default();
                let free = &mut free_at[narrow(number)];
                *free = (*free).max(now) + SERVICE;
                let answer = *free + distance;
                took.push(answer - now);
                crowd.world.at(answer, Event::Answer { region, request });
            }
            Event::Answer { region, request } => {
                crowd.routers[narrow(region)].finished(request, RequestEnd::Answered, now);
            }
            Event::Measure => {
                for ((node, asked), free) in (0..options.nodes).zip(&mut asked_of).zip(&free_at) {
                    let permille = core::mem::take(asked) * 1000 / (NODE_PER_SECOND * MEASURE.as_secs());
                    let waiting = free.saturating_sub(now).as_millis() / SERVICE.as_millis();
                    crowd.world.serves(node, permille, u32::try_from(waiting).unwrap_or(u32::MAX));
                    most_load = most_load.max(crowd.world.true_load(node));
                }
                crowd.world.at(now + MEASURE, Event::Measure);
            }
            Event::Record => {
                let count = crowd.count().max(1);
                let of_each = core::mem::take(&mut since_record) / u64::from(count);
                let amounts = Signals {
                    accesses: of_each,
                    network_bytes: of_each * OBJECT_BYTES,
                    compute_ms: of_each * 2,
                    credits: of_each,
                };
                monitor.record(OBJECT, amounts, now);
                let replicas = Replicas { count, floor: FLOOR, ceiling: CEILING };
                if let Scale::Up { to } | Scale::Down { to } = monitor.decide(&OBJECT, replicas, last_change, now) {
                    crowd.set_count(to);
                    (last_change, most) = (now, most.max(to));
                    steps.insert(now, to);
                    crowd.world.trace.add(u64::from(to));
                }
                crowd.world.at(now + RECORD, Event::Record);
            }
        }
    }
    let metrics = monitor.metrics();
    let peak_at = steps.iter().find(|&(_, &to)| to == most).map_or(Duration::ZERO, |(&at, _)| at);
    let count = u64::from(crowd.count());
    report.count("requests", asked, "");
    report.count("requests that nobody took", refused, "");
    report.count("most replicas", u64::from(most), "replicas");
    report.count("most replicas reached at", peak_at.as_secs(), "s");
    report.count("steps up", metrics.steps_up, "steps");
    report.count("steps down", metrics.steps_down, "steps");
    report.count("replicas added", metrics.replicas_added, "replicas");
    report.count("replicas dropped", metrics.replicas_dropped, "replicas");
    report.count("replicas copied", crowd.copied, "replicas");
    report.count("changes of direction", metrics.reversals, "");
    report.milli("most load of a node over 10 s", most_load, "");
    took.sort_unstable();
    for (name, per_thousand) in [("half of the answers within", 500), ("99 % of the answers within", 990)] {
        report.time(name, took.get(took.len() * per_thousand / 1000).copied().unwrap_or_default());
    }
    report.time("slowest answer", took.last().copied().unwrap_or_default());
    report.count("at rest since", last_change.as_secs(), "s");
    report.count("replicas in the end", count, "replicas");
    report.promise("no request is refused", refused == 0);
    report.promise("no node reaches 0.8", most_load < 800);
    // A mean replica would be at 1.25 and at 0.31 of full demand.
    let (least, enough) = (base * RISES * 8 / 100, base * RISES * 32 / 100);
    report.promise("the count follows the demand", (least..=enough).contains(&u64::from(most)));
    report.promise("every step finds its nodes", crowd.short == 0);
    report.promise("what is added is copied, and nothing else", crowd.copied == metrics.replicas_added);
    report.promise("it goes up once and down once", metrics.reversals <= 1 && metrics.net_replicas == 0);
    report.promise("it ends where it began", count == u64::from(FLOOR));
    report.promise("and rests", last_change + REST <= END);
    report.trace = crowd.world.trace.value();
}
