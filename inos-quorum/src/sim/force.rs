//! A quorum that is lost for good, or so it seems, and an operator who goes on without it.

use alloc::{collections::BTreeSet, format, vec::Vec};

use super::{
    Rng, Violation,
    machine::Lists,
    trace::Entry,
    world::{Happening, Memory, World},
};
use crate::{Actor, Generation, Group, MessageError, Role, Storage, group::wire::GENERATION_AT};

/// What becomes of voters that the operator takes for lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Storage and all.
    Destroyed,
    Stopped,
    /// They go on, out of touch with the others.
    CutOff,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    Calm,
    /// Voters are gone, and the operator has not acted yet.
    Lost {
        acts_at_us: u64,
    },
    /// A survivor goes on by force.
    Forced {
        survivor: Actor<u64>,
        generation: Generation,
        /// The first epoch of the generation.
        epoch: u64,
        back_at_us: u64,
    },
    /// Whoever comes back is back.
    Reunited {
        since_us: u64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The survivor crashed before the new generation was durable.
    Void,
    Durable,
}

/// The scene of a run, if it has one.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    rng: Rng,
    due_us: u64,
    fates: &'static [Fate],
    /// Those who were not destroyed come back as they were.
    returns: bool,
    stage: Stage,
    survivors: Vec<usize>,
    lost: Vec<(usize, Fate)>,
    /// Nodes that came back with what they had when a later generation was there.
    back: BTreeSet<usize>,
}

/// How long the operator waits for a member of an older generation that nobody of the later one knows.
const PATIENCE_US: u64 = 10_000_000;

impl Scene {
    /// Drawn apart from all else, so that runs without a scene are what they would be if there were none.
    pub(super) fn draw(mut rng: Rng, start_us: u64, faulty_us: u64) -> Option<Self> {
        if !rng.chance(220) {
            return None;
        }
        let kinds: [&[Fate]; 4] = [
            &[Fate::Destroyed],
            &[Fate::Stopped],
            &[Fate::CutOff],
            &[Fate::Destroyed, Fate::Stopped, Fate::CutOff, Fate::CutOff],
        ];
        Some(Self {
            due_us: start_us + rng.between(faulty_us / 3, faulty_us * 5 / 6),
            fates: rng.pick(&kinds),
            returns: rng.chance(800),
            stage: Stage::Calm,
            survivors: Vec::new(),
            lost: Vec::new(),
            back: BTreeSet::new(),
            rng,
        })
    }

    fn is_away(&self) -> bool {
        matches!(self.stage, Stage::Lost { .. } | Stage::Forced { .. })
    }

    /// Whether the node does not start, whatever happens to it otherwise.
    pub(super) fn keeps_down(&self, node: usize) -> bool {
        self.is_away() && self.lost.contains(&(node, Fate::Stopped))
    }

    /// Whether the operator counts on the node.
    pub(super) fn needs(&self, node: usize) -> bool {
        matches!(self.stage, Stage::Lost { .. }) && self.survivors.contains(&node)
    }

    const fn has_forced(&self) -> bool {
        matches!(self.stage, Stage::Forced { .. } | Stage::Reunited { .. })
    }
}

impl<const MERGES: bool> World<MERGES> {
    /// The operator looks, at the pace of the integrator.
    pub(super) fn oversee(&mut self) {
        let Some(mut scene) = self.scene.take() else { return };
        match scene.stage {
            Stage::Calm if !self.healed && self.now_us >= scene.due_us => self.lose_quorum(&mut scene),
            Stage::Lost { acts_at_us } if self.now_us >= acts_at_us => self.force(&mut scene),
            Stage::Forced { back_at_us, .. } => match self.came_of(&scene.stage) {
                Some(Outcome::Void) => scene.stage = Stage::Lost { acts_at_us: self.now_us },
                Some(Outcome::Durable) if self.now_us >= back_at_us => self.reunite(&mut scene),
                _ => {}
            },
            _ => {}
        }
        self.scene = Some(scene);
        self.renew();
    }

    /// What came of the force, if that is known.
    fn came_of(&self, stage: &Stage) -> Option<Outcome> {
        let &Stage::Forced { survivor, generation, epoch, .. } = stage else { return None };
        let running = || self.nodes.iter().filter_map(|node| node.group.as_ref());
        let is_void = running().any(|group| group.seat() == survivor && group.generation() < generation);
        // Its first voter commits what its storage holds.
        let is_durable = running().any(|group| group.generation() >= generation && group.committed().epoch >= epoch);
        if is_durable { Some(Outcome::Durable) } else { is_void.then_some(Outcome::Void) }
    }

    /// So many voters go that no write quorum is left.
    fn lose_quorum(&mut self, scene: &mut Scene) {
        let Some(group) = self.primary().and_then(|primary| self.nodes[primary].group.as_ref()) else { return };
        let voters = &group.configuration().voters;
        let enough = self.plan.config.mode.write_quorum(voters.len());
        let mut present: Vec<usize> = Vec::new();
        for &voter in voters.iter().filter(|&&voter| !self.checker.is_destroyed(voter)) {
            present.extend(usize::try_from(voter.node).ok());
        }
        // Who has just joined may not know yet that it is a voter, and then cannot go on.
        let mut able: Vec<usize> = present.iter().copied().filter(|&node| self.knows_its_seat(node)).collect();
        let most = (enough - 1).min(able.len());
        if most == 0 {
            return;
        }
        let count = 1 + scene.rng.index(most);
        for _ in 0..count {
            let survivor = able.swap_remove(scene.rng.index(able.len()));
            scene.survivors.push(survivor);
        }
        present.retain(|node| !scene.survivors.contains(node));
        let mut side: Vec<bool> = (0..self.nodes.len()).map(|_| scene.rng.chance(300)).collect();
        for &node in &scene.survivors {
            side[node] = false;
        }
        for node in present {
            let fate = match scene.rng.pick(scene.fates) {
                // A stopped member would be a destroyed one.
                Fate::Stopped if self.is_volatile() => Fate::CutOff,
                fate => fate,
            };
            side[node] = fate == Fate::CutOff;
            scene.lost.push((node, fate));
        }
        self.trace.note_shown(self.now_us, 0, Entry::Operator, &("loses", &scene.survivors, &scene.lost));
        let acts_at_us = self.now_us + scene.rng.between(100_000, 5_000_000);
        scene.stage = Stage::Lost { acts_at_us };
        if scene.lost.iter().any(|(_, fate)| *fate == Fate::CutOff) {
            self.network.partition(&side, u64::MAX);
        }
        for &(node, fate) in &scene.lost {
            match fate {
                Fate::Destroyed => {
                    self.crash(node, Memory::Lost);
                    let down_us = scene.rng.between(1_000, 20_000_000);
                    self.at(down_us, Happening::Restart { node });
                }
                Fate::Stopped => self.crash(node, Memory::Kept),
                Fate::CutOff => {}
            }
        }
    }

    fn knows_its_seat(&self, node: usize) -> bool {
        let group = self.nodes[node].group.as_ref();
        group.is_some_and(|group| group.inspect().changes == 0 && group.configuration().is_voter(group.seat()))
    }

    /// Once all survivors run, the one whose log is the greatest goes on alone.
    fn force(&mut self, scene: &mut Scene) {
        if !scene.survivors.iter().all(|&node| self.is_up(node)) {
            return;
        }
        let logs = scene.survivors.iter().filter_map(|&node| Some((node, self.nodes[node].group.as_ref()?)));
        let able =
            logs.filter(|(_, group)| group.role() != Role::Superseded && group.configuration().is_voter(group.seat()));
        let Some((node, _)) = able.max_by_key(|(node, group)| (group.last(), core::cmp::Reverse(*node))) else {
            return;
        };
        let (local, nonce, tick) = (self.local(node), scene.rng.word(), self.oracle.tick());
        let Some(group) = &mut self.nodes[node].group else { return };
        let changes = group.inspect().changes;
        let answer = group.force_new_group(local, nonce);
        self.trace.note_shown(self.now_us, node, Entry::Operator, &("force", nonce, &answer));
        let checked = match answer {
            Ok(()) => self.checker.fork(node, group, changes, tick),
            Err(error) => Err(Violation::new("a survivor goes on by force", format!("{node}: {error}"))),
        };
        let (survivor, generation, epoch) = (group.seat(), group.generation(), group.epoch());
        self.check(checked);
        let back_at_us = self.now_us + scene.rng.between(200_000, 15_000_000);
        scene.stage = Stage::Forced { survivor, generation, epoch, back_at_us };
        if scene.rng.chance(200) {
            let soon_us = scene.rng.below(2 * self.plan.sync_us.1);
            self.at(soon_us, Happening::Crash { node });
        }
        self.settle(node);
    }

    /// Those who were away come back, with what they had or without.
    fn reunite(&mut self, scene: &mut Scene) {
        scene.stage = Stage::Reunited { since_us: self.now_us };
        self.coverage.forced = true;
        let away: Vec<usize> =
            scene.lost.iter().filter(|(_, fate)| *fate != Fate::Destroyed).map(|(node, _)| *node).collect();
        for node in away {
            if scene.returns {
                scene.back.insert(node);
            } else {
                self.crash(node, Memory::Lost);
            }
            let soon_us = scene.rng.below(3_000_000);
            self.at(soon_us, Happening::Restart { node });
        }
        self.network.mend();
        if self.plan.config.storage == Storage::Volatile {
            return;
        }
        // Who meets the later generation first, and crashes with it.
        for &node in &scene.back {
            if scene.rng.chance(200) {
                let soon_us = scene.rng.below(4_000_000);
                self.at(soon_us, Happening::Crash { node });
            }
        }
    }

    /// The end of all faults: what the operator has begun is brought to its end.
    pub(super) fn end_scene(&mut self) {
        let Some(mut scene) = self.scene.take() else { return };
        let is_durable = self.came_of(&scene.stage) == Some(Outcome::Durable);
        match scene.stage {
            Stage::Forced { .. } if is_durable => self.reunite(&mut scene),
            Stage::Lost { .. } | Stage::Forced { .. } => {
                // Nobody has gone on without them, and now it is certain that they do not come back.
                for &(node, fate) in scene.lost.iter().filter(|(_, fate)| *fate != Fate::Destroyed) {
                    self.trace.note_shown(self.now_us, node, Entry::Operator, &("lost", fate));
                    self.crash(node, Memory::Lost);
                }
                scene.lost.clear();
            }
            _ => {}
        }
        self.scene = Some(scene);
    }

    /// Whoever belongs to an older generation, and has handed over what it had, starts anew and joins.
    fn renew(&mut self) {
        let Some(scene) = &self.scene else { return };
        let Stage::Reunited { since_us } = scene.stage else { return self.renew_stopped() };
        self.renew_stopped();
        if !self.healed || self.now_us < since_us + PATIENCE_US {
            return;
        }
        let newest = self.primary().and_then(|primary| self.nodes[primary].group.as_ref()).map(Group::generation);
        self.renew_all(|group| {
            let is_older = newest.is_some_and(|newest| group.generation() < newest);
            is_older && group.configuration().number > 0 && group.role() != Role::Superseded
        });
    }

    fn renew_stopped(&mut self) {
        self.renew_all(|group| group.role() == Role::Superseded && group.orphans() == 0);
    }

    fn renew_all(&mut self, is_due: impl Fn(&Group<u64, Lists<MERGES>>) -> bool) {
        for node in 0..self.nodes.len() {
            if self.is_up(node) && self.nodes[node].group.as_ref().is_some_and(&is_due) {
                self.checker.handed_over(node);
                self.start_anew(node);
            }
        }
    }

    fn start_anew(&mut self, node: usize) {
        let amnesia = self.coverage.amnesia;
        self.trace.note(self.now_us, node, Entry::Operator, [0, 0], b"anew");
        self.crash(node, Memory::Lost);
        // It was asked to forget.
        self.coverage.amnesia = amnesia;
        self.start(node);
    }

    /// Whether there is one generation, and as many voters as there can be.
    pub(super) fn is_one_group(&self, leader: &Group<u64, Lists<MERGES>>) -> bool {
        let Some(scene) = &self.scene else { return true };
        if !scene.has_forced() {
            return scene.stage == Stage::Calm;
        }
        let running = self.nodes.iter().filter_map(|node| node.group.as_ref());
        let is_blank = |group: &Group<u64, Lists<MERGES>>| group.configuration().number == 0;
        let is_one = running.clone().all(|group| {
            is_blank(group) || (group.generation() == leader.generation() && group.role() != Role::Superseded)
        });
        let able = running.filter(|group| !self.is_ephemeral(group.seat().node)).count();
        is_one && leader.configuration().voters.len() >= able.min(self.plan.config.target)
    }

    /// A member of an older generation came back.
    pub(super) fn note_return(&mut self, node: usize) {
        self.coverage.came_back |= self.scene.as_ref().is_some_and(|scene| scene.back.contains(&node));
    }
}

/// A member that is about to hear a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hearer {
    generation: Generation,
    has_history: bool,
}

impl Hearer {
    pub(super) fn of<const MERGES: bool>(group: &Group<u64, Lists<MERGES>>) -> Self {
        Self { generation: group.generation(), has_history: group.configuration().number > 0 }
    }

    /// What the frame does to it, be it the first of a later generation, and that it is refused as one of another
    /// generation only when it is one, or the member has stopped.
    pub(super) fn heard<const MERGES: bool>(
        self,
        frame: &[u8],
        answer: Result<(), MessageError>,
        after: &Group<u64, Lists<MERGES>>,
    ) -> Result<(), Violation> {
        let (found, own) = (generation_of(frame), self.generation);
        let has_stopped = after.role() == Role::Superseded;
        let is_refused = match answer {
            Ok(()) => false,
            Err(MessageError::Superseded { .. }) => true,
            // It was not looked at.
            Err(_) => return Ok(()),
        };
        let is_later = found.number > own.number && self.has_history;
        let is_rival = found.number == own.number && found.nonce != own.nonce;
        let described = || format!("{found:?} met {:?} of {own:?}: {answer:?}", after.seat());
        if (is_later || is_rival) && !has_stopped {
            return Err(Violation::new("an older generation stops on sight of a later one", described()));
        }
        let is_older = found.number < own.number;
        if is_older && !is_refused || is_refused && found == own && !has_stopped {
            return Err(Violation::new("a generation hears its own, and nobody before it", described()));
        }
        Ok(())
    }
}

/// The generation in a frame.
fn generation_of(frame: &[u8]) -> Generation {
    let word = |at: usize| frame.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes);
    Generation { number: word(GENERATION_AT), nonce: word(GENERATION_AT + 8) }
}
