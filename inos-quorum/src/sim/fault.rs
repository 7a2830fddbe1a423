//! What goes wrong, and that it stops.

use alloc::vec::Vec;

use super::{
    Way, Weather,
    plan::{FAULTS, Fault},
    trace::Entry,
    world::{Happening, Memory, World},
};
use crate::Role;

impl<const MERGES: bool> World<MERGES> {
    /// One fault, and the time of the next.
    pub(super) fn fault(&mut self) {
        if self.healed {
            return;
        }
        let total: u64 = self.plan.weights.iter().sum();
        let mut drawn = self.rng.below(total);
        for (fault, weight) in FAULTS.into_iter().zip(self.plan.weights) {
            if drawn < weight {
                self.trace.note(self.now_us, 0, Entry::Weather, [fault as u64, 0], &[]);
                self.strike(fault);
                break;
            }
            drawn -= weight;
        }
        let pause_us = self.rng.below(2 * self.plan.fault_every_us);
        self.at(pause_us, Happening::Fault);
    }

    fn strike(&mut self, fault: Fault) {
        let count = self.nodes.len();
        match fault {
            Fault::Crash => {
                let victim = self.victim();
                self.crash_for_a_while(victim);
            }
            Fault::Amnesia => {
                let victim = self.victim();
                self.forget(victim);
            }
            Fault::Blackout => {
                for node in 0..count {
                    if self.rng.chance(700) {
                        let soon_us = self.rng.below(20_000);
                        self.at(soon_us, Happening::Crash { node });
                    }
                }
            }
            Fault::Partition => {
                let until_us = self.now_us + self.span_us();
                let side: Vec<bool> = (0..count).map(|_| self.rng.chance(500)).collect();
                self.network.partition(&side, until_us);
            }
            Fault::OneWay => {
                let until_us = self.now_us + self.span_us();
                let victim = self.victim();
                let way = self.rng.pick(&[Way::In, Way::Out]);
                for other in (0..count).filter(|&other| other != victim) {
                    if self.rng.chance(800) {
                        self.network.cut_pair(victim, other, way, until_us);
                    }
                }
            }
            Fault::Islet => {
                let Some(primary) = self.primary() else { return };
                let until_us = self.now_us + self.span_us();
                let friend = self.rng.index(count);
                let side: Vec<bool> = (0..count).map(|node| node == primary || node == friend).collect();
                self.network.partition(&side, until_us);
            }
            Fault::Pause => {
                let victim = self.victim();
                let span_us = self.rng.between(20_000, 2_000_000);
                self.pause(victim, span_us);
            }
            Fault::LongPause => {
                let victim = self.victim();
                let span_us = self.rng.between(6_000_000, 15_000_000);
                self.pause(victim, span_us);
            }
            Fault::Operator => self.operate(),
            Fault::Lull => {
                let span_us = self.rng.between(1_000_000, 6_000_000);
                self.lull_until_us = self.now_us + span_us;
            }
        }
    }

    /// The primary is the most interesting one.
    fn victim(&mut self) -> usize {
        match self.primary() {
            Some(primary) if self.rng.chance(500) => primary,
            _ => self.rng.index(self.nodes.len()),
        }
    }

    /// How long a cut lasts: long enough to elect somebody, or not.
    fn span_us(&mut self) -> u64 {
        let longest_us = self.rng.pick(&[300_000, 2_000_000, 8_000_000]);
        self.rng.between(20_000, longest_us)
    }

    pub(super) fn crash_for_a_while(&mut self, node: usize) {
        if self.healed || self.nodes[node].group.is_none() {
            return;
        }
        if self.is_volatile() {
            return self.forget(node);
        }
        self.crash(node, Memory::Kept);
        self.restart_later(node);
    }

    fn forget(&mut self, node: usize) {
        if !self.healed && self.may_destroy(node) {
            self.crash(node, Memory::Lost);
            self.restart_later(node);
        }
    }

    fn restart_later(&mut self, node: usize) {
        let longest_us = self.rng.pick(&[50_000, 1_000_000, 9_000_000]);
        let down_us = self.rng.between(1_000, longest_us);
        self.at(down_us, Happening::Restart { node });
    }

    /// The first moments of a primary are the most delicate: old entries are there, its own first one is not yet.
    pub(super) fn strike_the_new_primary(&mut self, node: usize) {
        if self.healed || !self.rng.chance(self.plan.regicide_per_thousand) {
            return;
        }
        let count = self.nodes.len();
        match self.rng.below(4) {
            0 | 1 => {
                let soon_us = self.rng.below(60_000);
                self.at(soon_us, Happening::Crash { node });
            }
            2 => {
                let until_us = self.now_us + self.span_us();
                let spared = self.rng.index(count);
                for other in (0..count).filter(|&other| other != node && other != spared) {
                    self.network.cut_pair(node, other, Way::Out, until_us);
                }
                if self.rng.chance(500) {
                    let soon_us = self.rng.below(200_000);
                    self.at(soon_us, Happening::Crash { node });
                }
            }
            _ => {
                // Nobody hears of it any more, and the lights go out for those who voted.
                let until_us = self.now_us + self.span_us();
                for other in (0..count).filter(|&other| other != node) {
                    self.network.cut_pair(node, other, Way::Out, until_us);
                    if self.rng.chance(700) {
                        self.at(1, Happening::Crash { node: other });
                    }
                }
            }
        }
    }

    /// The end of all faults: links are mended, everybody runs.
    pub(super) fn heal(&mut self) {
        self.healed = true;
        self.end_scene();
        self.network.mend();
        self.network.set_weather(Weather::CALM);
        self.plan.sync_us = (100, 500);
        for node in 0..self.nodes.len() {
            if self.is_paused(node) {
                self.nodes[node].paused_until_us = self.now_us;
                self.at(0, Happening::Resume { node });
            }
            if self.nodes[node].life > 0 {
                self.start(node);
            }
        }
    }

    /// Whether all is well again: one primary, no change of members under way, all members run, and all agree.
    pub(super) fn has_converged(&self) -> bool {
        let Some(primary) = self.primary() else { return false };
        let Some(leader) = self.nodes[primary].group.as_ref() else { return false };
        let configuration = leader.configuration();
        let seats = configuration.voters.iter().chain(configuration.learners.iter().map(|(seat, _)| seat));
        configuration.outgoing.is_empty()
            && leader.committed() == leader.last()
            && self.is_one_group(leader)
            && seats.clone().all(|seat| {
                let node = usize::try_from(seat.node).unwrap_or(usize::MAX);
                let member = self.nodes.get(node).and_then(|node| node.group.as_ref());
                member.is_some_and(|member| {
                    member.seat() == *seat
                        && member.role() != Role::Candidate
                        && member.last() == leader.last()
                        && member.committed() == leader.committed()
                        && member.inspect().orphans == 0
                })
            })
    }
}
