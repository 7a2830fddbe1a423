//! What somebody who runs groups does: recruit, replace, move, forget.

use super::{
    machine::Lists,
    trace::Entry,
    world::{Happening, World},
};
use crate::{Actor, Group, NodeClass, Role};

/// How often it looks.
const LOOK_US: u64 = 400_000;

impl<const MERGES: bool> World<MERGES> {
    /// Brings in whoever lost its memory and came back, and spares when the group asks; shows out learners that died.
    pub(super) fn integrator(&mut self) {
        self.at(LOOK_US, Happening::Integrator);
        self.oversee();
        let Some(primary) = self.primary() else { return };
        let Some(group) = self.nodes[primary].group.as_ref() else { return };
        let configuration = group.configuration();
        let is_member = |seat: Actor<u64>| {
            configuration.voters.contains(&seat) || configuration.learners.iter().any(|(it, _)| *it == seat)
        };
        let present = |seat: &Actor<u64>| self.seat(seat.node) == Some(*seat);
        let gone = configuration.learners.iter().map(|(seat, _)| *seat).find(|seat| self.is_replaced(*seat));
        let missing = configuration.voters.iter().filter(|seat| !present(seat)).count();
        let joiner = (0..self.nodes.len())
            .filter(|&node| self.is_up(node) && self.may_join(node, group))
            .filter_map(|node| self.seat(node as u64))
            .find(|seat| !is_member(*seat));
        let learners = configuration.learners.iter().filter(|(_, class)| *class == NodeClass::Voter).count();
        let dead = configuration.voters.iter().copied().find(|&seat| self.is_replaced(seat));
        if let Some(seat) = gone {
            self.command(primary, "remove", |group, now| group.remove(now, seat).map(|_| ()));
        } else if let Some(seat) = joiner {
            let class = if self.is_ephemeral(seat.node) { NodeClass::Ephemeral } else { NodeClass::Voter };
            if learners < 2 || class == NodeClass::Ephemeral {
                self.command(primary, "add", |group, now| group.add_learner(now, seat, class).map(|_| ()));
            }
        } else if let Some(node) = (0..self.nodes.len()).find(|&node| self.is_unused_ephemeral(node)) {
            self.start(node);
        } else if missing > 0 || learners == 0 && self.rng.chance(100) {
            let started = self.start_spare();
            if let Some(seat) = dead.filter(|_| !started && learners == 0) {
                // Nobody is left to take its place.
                self.command(primary, "remove", |group, now| group.remove(now, seat).map(|_| ()));
            }
        }
    }

    /// Who belongs to another generation first has to start anew.
    fn may_join(&self, node: usize, leader: &Group<u64, Lists<MERGES>>) -> bool {
        self.nodes[node].group.as_ref().is_some_and(|group| {
            let is_of_it = group.configuration().number == 0 || group.generation() == leader.generation();
            is_of_it && group.role() != Role::Superseded
        })
    }

    pub(super) fn is_ephemeral(&self, node: u64) -> bool {
        node >= (self.plan.founders + self.plan.spares) as u64
    }

    fn is_unused_ephemeral(&self, node: usize) -> bool {
        self.is_ephemeral(node as u64) && self.nodes[node].life == 0
    }

    /// Whether there was one.
    fn start_spare(&mut self) -> bool {
        let mut spares = self.plan.founders..self.plan.founders + self.plan.spares;
        let spare = spares.find(|&node| self.nodes[node].life == 0);
        if let Some(spare) = spare {
            self.start(spare);
        }
        spare.is_some()
    }

    /// The seat of the node's present life.
    fn seat(&self, node: u64) -> Option<Actor<u64>> {
        let node = self.nodes.get(usize::try_from(node).ok()?)?;
        node.group.as_ref().map(Group::seat)
    }

    /// Whether the node has come back as somebody else.
    fn is_replaced(&self, seat: Actor<u64>) -> bool {
        self.seat(seat.node).is_some_and(|present| present != seat) || self.checker.is_destroyed(seat)
    }

    /// Something that nobody needs right now.
    pub(super) fn operate(&mut self) {
        let Some(primary) = self.primary() else { return };
        let Some(group) = self.nodes[primary].group.as_ref() else { return };
        let configuration = group.configuration().clone();
        let voter = self.rng.pick(&configuration.voters);
        let learner =
            configuration.learners.iter().find(|(_, class)| *class == NodeClass::Voter).map(|(seat, _)| *seat);
        // Whoever shows out the living while others are dead may end the group.
        let all_live = !configuration.voters.iter().any(|&seat| self.is_replaced(seat));
        match self.rng.below(6) {
            0 | 1 => self.command(primary, "transfer", |group, now| group.transfer_primary(now, voter)),
            2 if all_live => self.command(primary, "leave", |group, now| group.leave(now)),
            2 => {}
            3 => {
                self.start_spare();
            }
            4 => {
                let client = self.rng.below(self.plan.clients as u64 + 3);
                // A client that still writes is never forgotten: its repeats could not be told from new writes.
                if client >= self.plan.clients as u64 {
                    let client = u128::from(client);
                    self.command(primary, "expire", |group, now| group.expire_client(now, client).map(|_| ()));
                }
            }
            _ => match learner {
                Some(new) if all_live => {
                    self.command(primary, "replace", |group, now| group.replace(now, voter, new).map(|_| ()));
                }
                _ => {
                    let actor = self.checker.destroyed_seats().next();
                    if let Some(actor) = actor {
                        self.command(primary, "retire", |group, now| group.retire(now, actor).map(|_| ()));
                    }
                }
            },
        }
    }

    /// Gives an order to the primary; it may refuse.
    fn command<E: core::fmt::Debug>(
        &mut self,
        node: usize,
        order: &str,
        give: impl FnOnce(&mut Group<u64, Lists<MERGES>>, core::time::Duration) -> Result<(), E>,
    ) {
        let local = self.local(node);
        let Some(group) = &mut self.nodes[node].group else { return };
        debug_assert_eq!(group.role(), Role::Primary);
        let answer = give(group, local);
        self.trace.note_shown(self.now_us, node, Entry::Operator, &(order, answer));
        self.settle(node);
    }
}
