//! Whole runs.

use alloc::{format, string::String, vec::Vec};

use super::{
    Choice, Report, Rng, Violation, Weather,
    force::Scene,
    linear::Verdict,
    plan::Plan,
    world::{Happening, Memory, START_US, World},
};
use crate::{Group, Mode, Storage};

/// How long a healed group may take until all its members agree.
const RECOVERY_US: u64 = 60_000_000;

/// Until every write that was taken has ended: a deposed primary waits for 5 s, and a little.
const SETTLING_US: u64 = 7_000_000;

/// One seed: 60 simulated seconds of faults, then everything heals, and the group has to elect, to commit a write, and
/// to agree.
///
/// ```
/// use inos_quorum::sim::{Choice, run};
///
/// let report = run(Choice::Majority, 1);
/// assert_eq!(report.outcome, Ok(()));
/// assert_eq!(report.trace, run(Choice::Majority, 1).trace);
/// ```
#[must_use]
pub fn run(choice: Choice, seed: u64) -> Report {
    simulate(choice, seed, Log::Dropped).0
}

/// As [`run`], with a line of text for each input and output of each member: time in microseconds, node, kind, and what
/// it was. A run of the same seed writes the same lines.
#[must_use]
pub fn run_logged(choice: Choice, seed: u64) -> (Report, String) {
    simulate(choice, seed, Log::Kept)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Log {
    Kept,
    Dropped,
}

/// Of the stream from which scenes are drawn.
const SCENE: u64 = 0xf0;

fn simulate(choice: Choice, seed: u64, log: Log) -> (Report, String) {
    let mut rng = Rng::new(seed);
    let plan = Plan::draw(choice, &mut rng);
    let rng = rng.fork();
    let scene = Scene::draw(Rng::new(seed ^ SCENE).fork(), START_US, plan.faulty_us);
    if plan.merges {
        chaos(World::<true>::new(seed, plan, rng), scene, log)
    } else {
        chaos(World::<false>::new(seed, plan, rng), scene, log)
    }
}

fn chaos<const MERGES: bool>(mut world: World<MERGES>, scene: Option<Scene>, log: Log) -> (Report, String) {
    world.scene = scene;
    if log == Log::Kept {
        world.trace.keep_log();
    }
    let started_us = world.now_us;
    for client in 0..world.plan.clients {
        world.at(client as u64 * 7_000, Happening::Client { client });
    }
    world.at(500_000, Happening::Reader);
    world.at(1_000_000, Happening::Integrator);
    let first_us = 300_000 + world.rng.below(2_000_000);
    world.at(first_us, Happening::Fault);
    let faulty_us = world.plan.faulty_us;
    world.run_for(faulty_us);
    world.heal();
    recover(&mut world);
    let outcome = world.outcome();
    let report = Report {
        seed: world.seed,
        outcome,
        coverage: world.coverage,
        trace: world.trace.hash(),
        simulated_us: world.now_us - started_us,
        steps: world.steps,
        committed: world.oracle.committed,
        fast: world.oracle.fast,
        lost: world.oracle.lost,
        primaries: world.checker.epochs_with_primary() as u64,
    };
    (report, world.take_log())
}

/// A healed group takes and commits a write, and all members reach the end of the history.
fn recover<const MERGES: bool>(world: &mut World<MERGES>) {
    world.run_for(SETTLING_US);
    let mut converged = world.run_until(RECOVERY_US, World::has_converged);
    if converged {
        let id = world.oracle.invoke(0, 0, 0);
        let before = world.checker.commits();
        if let Some(primary) = world.primary() {
            let _ = world.write(primary, id);
        }
        converged = world.run_until(5_000_000, |world| world.checker.commits() > before && world.has_converged());
    }
    if world.is_violated() {
        return;
    }
    // What the group does by itself, such as to make a voter of a learner, may come at any time.
    world.run_for(SETTLING_US);
    converged &= world.run_until(5_000_000, World::has_converged);
    if !converged {
        let detail = world.describe();
        return world.violated(Violation::new("a healed group recovers", detail));
    }
    if world.plan.detectors {
        bereave(world);
    }
    world.finish();
}

/// A group that has fallen silent loses its primary for a while: the detectors notice, and the others elect another one.
fn bereave<const MERGES: bool>(world: &mut World<MERGES>) {
    world.run_until(10_000_000, |world| world.is_silent());
    let Some(primary) = world.primary().filter(|_| world.is_silent()) else { return };
    let Some(group) = world.nodes[primary].group.as_ref() else { return };
    let (epoch, voters) = (group.epoch(), group.configuration().voters.len());
    if world.plan.config.mode.elect_quorum(voters) == voters {
        return;
    }
    world.pause(primary, 20_000_000);
    if !world.run_until(20_000_000, |world| world.primary_epoch().is_some_and(|newest| newest > epoch)) {
        let detail = world.describe();
        return world.violated(Violation::new("a silent group replaces its primary", detail));
    }
    world.run_for(20_000_000 + SETTLING_US);
    if !world.run_until(10_000_000, World::has_converged) {
        let detail = world.describe();
        world.violated(Violation::new("a healed group recovers", detail));
    }
}

impl<const MERGES: bool> World<MERGES> {
    fn primary_epoch(&self) -> Option<u64> {
        self.nodes[self.primary()?].group.as_ref().map(Group::epoch)
    }

    /// Whether the primary waits for nothing.
    fn is_silent(&self) -> bool {
        let primary = self.primary().and_then(|primary| self.nodes[primary].group.as_ref());
        primary.is_some_and(|group| group.poll_timeout().is_none())
    }

    fn describe(&self) -> String {
        let mut text = String::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let shown = node.group.as_ref().map(|group| {
                (group.seat(), group.role(), group.epoch(), group.last(), group.committed(), group.configuration())
            });
            text.push_str(&format!("; {index}: {shown:?}"));
        }
        text
    }

    fn finish(&mut self) {
        if self.is_violated() {
            return;
        }
        let mut members = Vec::new();
        if let Some(primary) = self.primary()
            && let Some(leader) = self.nodes[primary].group.as_ref()
        {
            for seat in &leader.configuration().voters {
                let node = usize::try_from(seat.node).unwrap_or(0);
                members.extend(self.nodes[node].group.as_ref().map(|group| (node, group)));
            }
        }
        let mut hashes = members.iter().map(|(_, group)| group.state_hash());
        let first = hashes.next();
        let checked = if hashes.any(|hash| Some(hash) != first) {
            Err(Violation::new("healed members agree", self.describe()))
        } else {
            let branch = members.first().map_or(0, |&(node, _)| self.checker.branch_of(node));
            self.oracle.finish(&self.checker, branch, &members)
        };
        self.check(checked);
    }
}

/// The time from the death of a primary to the first commit after it, in microseconds, in a group of five in a local
/// network whose clients write every 10 ms; `None` when there was none within ten seconds.
#[must_use]
pub fn failover_us(choice: Choice, seed: u64) -> Option<u64> {
    let mode = match choice {
        Choice::Fast => Mode::Fast,
        Choice::FastSafe => Mode::FastSafe,
        Choice::Flex => Mode::Flex { write: 3 },
        Choice::Majority => Mode::Majority,
    };
    let mut rng = Rng::new(seed);
    let mut plan = Plan::calm(mode);
    plan.writes_per_second = 100;
    let mut world = World::<true>::new(seed, plan, rng.fork());
    for client in 0..world.plan.clients {
        world.at(0, Happening::Client { client });
    }
    let started = world.run_until(10_000_000, |world| world.checker.commits() > 10);
    world.run_for(rng.below(1_000_000));
    let primary = world.primary().filter(|_| started)?;
    world.crash(primary, Memory::Kept);
    let died_us = world.now_us;
    let before = world.oracle.committed;
    world.run_until(10_000_000, |world| world.oracle.committed > before).then(|| world.now_us - died_us)
}

/// A scripted run of `Fast` whose history no order explains: a write is acknowledged by the primary and one other member;
/// both stop; the others elect a primary, and a linearizable read there does not show the write.
///
/// So the checker is able to find something, and `Fast` is what its documentation says: not linearizable.
#[must_use]
pub fn fast_loses_a_write(choice: Choice) -> Verdict {
    let mode = if choice == Choice::Fast { Mode::Fast } else { Mode::FastSafe };
    let mut plan = Plan::calm(mode);
    plan.config.storage = Storage::Durable;
    plan.weather = Weather::CALM;
    let mut world = World::<false>::new(1, plan, Rng::new(1));
    world.run_until(10_000_000, |world| world.primary().is_some());
    world.run_for(1_000_000);
    let Some(primary) = world.primary() else { return Verdict::Undecided };
    let before = world.oracle.invoke(0, 0, 0);
    let _ = world.write(primary, before);
    world.run_for(1_000_000);
    // An islet of two: all that a fast receipt asks for.
    let friend = (primary + 1) % 5;
    let side: Vec<bool> = (0..5).map(|node| node == primary || node == friend).collect();
    let until_us = world.now_us + 60_000_000;
    world.network.partition(&side, until_us);
    let at_risk = world.oracle.invoke(0, 0, 0);
    let _ = world.write(primary, at_risk);
    world.run_for(100_000);
    world.crash(primary, Memory::Kept);
    world.crash(friend, Memory::Kept);
    world.run_until(20_000_000, |world| world.primary().is_some());
    world.run_for(2_000_000);
    if let Some(heir) = world.primary() {
        world.read_index(heir, 0);
    }
    world.run_for(2_000_000);
    world.oracle.verdict(&world.checker, 0, 0)
}
