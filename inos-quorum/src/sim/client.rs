//! Clients: they write, read, and ask again elsewhere when they hear nothing.

use alloc::{format, vec, vec::Vec};

use super::{
    Violation,
    branch::BranchId,
    machine::{Append, Applied, KEYS, Lists},
    oracle::{Told, value},
    trace::Entry,
    world::{Happening, World},
};
use crate::{Group, Lsn, OpId, Read, ReadError, Role, Session, VectorClock, WriteError};

#[derive(Clone, Debug)]
struct Client {
    /// Writes that are not acknowledged, oldest first.
    pending: Vec<Pending>,
    /// The member that it asks next.
    target: usize,
    session: Option<Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    id: OpId,
    tries: u32,
}

/// What a session has been shown: the history up to its last value.
#[derive(Clone, Debug)]
struct Seen {
    session: Session<u64>,
    branch: BranchId,
    len: usize,
    /// The last few values, oldest first.
    latest: Vec<Applied>,
}

/// Values of the end of a session that are remembered.
const LATEST: usize = 8;

impl Default for Seen {
    fn default() -> Self {
        let session = Session { clock: VectorClock::new(), lsn: Lsn::default() };
        Self { session, branch: 0, len: 0, latest: Vec::new() }
    }
}

impl Seen {
    fn of<const MERGES: bool>(branch: BranchId, group: &Group<u64, Lists<MERGES>>, applied: &[Applied]) -> Self {
        let latest = applied[applied.len().saturating_sub(LATEST)..].to_vec();
        Self { session: group.session(), branch, len: applied.len(), latest }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Clients {
    clients: Vec<Client>,
}

/// Tries before a client gives a write up.
const MAX_TRIES: u32 = 6;

impl Clients {
    pub(super) fn new(count: usize) -> Self {
        let client = Client { pending: Vec::new(), target: 0, session: None };
        Self { clients: vec![client; count] }
    }
}

impl<const MERGES: bool> World<MERGES> {
    /// The client's next move: a new write, whatever became of the last one, or an old one again.
    pub(super) fn client(&mut self, client: usize) {
        if self.healed {
            return;
        }
        let mean_us = 1_000_000 * self.plan.clients as u64 / self.plan.writes_per_second.max(1);
        let pause_us = self.rng.below(2 * mean_us);
        self.at(pause_us.max(1_000), Happening::Client { client });
        if self.now_us < self.lull_until_us {
            return;
        }
        let pending = &mut self.clients.clients[client].pending;
        // What was tried often enough nobody will ever know.
        pending.retain(|pending| pending.tries < MAX_TRIES);
        let repeat = !pending.is_empty() && self.rng.chance(250);
        let id = if repeat {
            let chosen = self.rng.index(pending.len());
            pending[chosen].tries += 1;
            pending[chosen].id
        } else {
            let key = u8::try_from(self.rng.below(KEYS.into())).unwrap_or(0);
            let ballast = u16::try_from(self.rng.below(self.plan.max_ballast + 1)).unwrap_or(0);
            let id = self.oracle.invoke(client, key, ballast);
            pending.push(Pending { id, tries: 1 });
            id
        };
        let node = self.target(client);
        // Who has it and has not ended it is seldom asked again.
        if self.oracle.is_open(node, id) && !self.rng.chance(100) {
            return;
        }
        let seen = match &self.clients.clients[client].session {
            Some(seen) if self.rng.chance(self.plan.context_per_thousand) => seen.clone(),
            _ => Seen::default(),
        };
        let _ = self.write_after(node, id, &seen);
    }

    /// Whom the client asks: mostly the primary, sometimes another one who believes to be it, sometimes anybody.
    fn target(&mut self, client: usize) -> usize {
        match self.rng.below(10) {
            0 => self.rng.index(self.nodes.len()),
            1 => self.clients.clients[client].target.min(self.nodes.len() - 1),
            2..=4 => {
                let first = self.rng.index(self.nodes.len());
                let believer = (first..self.nodes.len())
                    .chain(0..first)
                    .find(|&node| self.nodes[node].group.as_ref().is_some_and(|group| group.role() == Role::Primary));
                believer.unwrap_or(first)
            }
            _ => self.primary().unwrap_or(0),
        }
    }

    /// Offers a write to a member; true when it was taken.
    pub(super) fn write(&mut self, node: usize, id: OpId) -> bool {
        self.write_after(node, id, &Seen::default())
    }

    /// A write of somebody who has seen something elsewhere.
    fn write_after(&mut self, node: usize, id: OpId, seen: &Seen) -> bool {
        if !self.is_up(node) {
            return false;
        }
        let Some((key, ballast)) = self.oracle.op(id).map(|op| (op.key, op.ballast)) else { return false };
        let (local, now_us) = (self.local(node), self.now_us);
        let Some(group) = &mut self.nodes[node].group else { return false };
        let delta = Append { value: value(id), key, ballast };
        let outcome = group.write_after(local, id, delta, &seen.session.clock);
        self.trace.note_shown(now_us, node, Entry::Write, &(id, &outcome));
        let taken = outcome.is_ok();
        if let Ok(lsn) = outcome {
            let made_us = u64::try_from(local.as_micros()).unwrap_or(u64::MAX);
            let checked = self.oracle.took(node, id, lsn, made_us, &seen.latest);
            self.check(checked);
        } else if let Err(WriteError::Discarded { .. }) = outcome {
            let checked = self.oracle.discarded(node, &self.checker, id);
            self.check(checked);
        } else if let Some(primary) = self.nodes[node].group.as_ref().and_then(Group::primary)
            && let Some(client) = usize::try_from(id.client).ok().and_then(|index| self.clients.clients.get_mut(index))
        {
            client.target = usize::try_from(primary.node).unwrap_or(0);
        }
        self.settle(node);
        taken
    }

    /// What an event means for its client.
    pub(super) fn told(&mut self, node: usize, group: &Group<u64, Lists<MERGES>>, told: Told) {
        let (Told::Done(id) | Told::Unknown(id) | Told::Refused(id) | Told::Forgotten(id)) = told else { return };
        let Some(client) = usize::try_from(id.client).ok().and_then(|index| self.clients.clients.get_mut(index)) else {
            return;
        };
        let Some(place) = client.pending.iter().position(|pending| pending.id == id) else { return };
        match told {
            Told::Done(_) => {
                client.pending.swap_remove(place);
                self.read_own_write(node, group, id);
            }
            Told::Forgotten(_) => {
                client.pending.swap_remove(place);
            }
            // Half of them the client repeats all the same.
            Told::Refused(_) if id.serial % 2 == 0 => {
                client.pending.swap_remove(place);
            }
            _ => {}
        }
    }

    /// Whoever acknowledged a write shows it, and the session goes on from there.
    fn read_own_write(&mut self, node: usize, group: &Group<u64, Lists<MERGES>>, id: OpId) {
        let Ok((state, _)) = group.read(Read::Local) else {
            return self.violated(Violation::new("local reads never fail", format!("{node}")));
        };
        let own = value(id);
        if !state.applied().iter().rev().any(|applied| applied.value == own) {
            return self.violated(Violation::new("members show what they acknowledge", format!("{id:?} at {node}")));
        }
        let seen = Seen::of(self.checker.branch_of(node), group, state.applied());
        if let Some(client) = usize::try_from(id.client).ok().and_then(|index| self.clients.clients.get_mut(index)) {
            client.session = Some(seen);
        }
    }

    /// A linearizable read, or one of a session.
    pub(super) fn reader(&mut self) {
        if self.healed {
            return;
        }
        let pause_us = self.rng.below(2_000_000 / self.plan.reads_per_second.max(1));
        self.at(pause_us.max(1), Happening::Reader);
        if self.now_us < self.lull_until_us {
            return;
        }
        if self.rng.chance(500) {
            let client = self.rng.index(self.clients.clients.len());
            let node = self.rng.index(self.nodes.len());
            return self.read_session(client, node);
        }
        self.read_believers();
    }

    /// One of them may be wrong.
    pub(super) fn read_believers(&mut self) {
        if self.healed {
            return;
        }
        for node in 0..self.nodes.len() {
            if self.nodes[node].group.as_ref().is_some_and(|group| group.role() == Role::Primary) {
                let key = u8::try_from(self.rng.below(KEYS.into())).unwrap_or(0);
                self.read_index(node, key);
            }
        }
    }

    pub(super) fn read_index(&mut self, node: usize, key: u8) {
        if !self.is_up(node) {
            return;
        }
        let local = self.local(node);
        let Some(group) = &mut self.nodes[node].group else { return };
        let outcome = group.read_index(local);
        self.trace.note_shown(self.now_us, node, Entry::Read, &outcome);
        if let Ok(id) = outcome {
            self.oracle.asked_read(node, id, key, &self.checker);
        }
        self.settle(node);
    }

    /// What a session has seen it sees again, wherever it reads.
    fn read_session(&mut self, client: usize, node: usize) {
        if !self.is_up(node) {
            return;
        }
        let Some(group) = self.nodes[node].group.as_ref() else { return };
        let seen = self.clients.clients[client].session.take();
        let outcome = match &seen {
            Some(seen) => group.read(Read::Session(&seen.session)),
            None => group.read(Read::Local),
        };
        self.trace.note(self.now_us, node, Entry::Session, [client as u64, outcome.is_ok().into()], &[]);
        let after = match outcome {
            Ok((state, _)) => {
                let applied = state.applied();
                let sees = seen.as_ref().is_none_or(|seen| {
                    seen.len.checked_sub(1).is_none_or(|last| applied.get(last) == seen.latest.last())
                });
                if !sees {
                    let detail = format!("client {client} at {node}: {seen:?}, now {} values", applied.len());
                    return self.violated(Violation::new("sessions read what they have seen", detail));
                }
                // The token is of what a local read shows, which is at least as much.
                let branch = self.checker.branch_of(node);
                group.read(Read::Local).ok().map(|(state, _)| Seen::of(branch, group, state.applied()))
            }
            Err(ReadError::SessionBroken { lsn }) => {
                let checked = self.may_break(node, seen.as_ref().map_or(0, |seen| seen.branch), lsn);
                self.check(checked);
                None
            }
            // Not there yet.
            Err(_) => seen,
        };
        self.clients.clients[client].session = after;
    }

    /// In a safe mode only force breaks a session, and only one that has seen what the survivor lacked. In no mode one
    /// breaks over what is committed.
    fn may_break(&self, node: usize, seen_in: BranchId, lsn: Lsn) -> Result<(), Violation> {
        let branches = self.checker.branches();
        let here = self.checker.branch_of(node);
        let is_safe = self.checker.is_safe_mode() && branches.is_taken_over(seen_in, here, lsn) == Some(true);
        if is_safe || branches.get(here).has_committed(lsn) {
            return Err(Violation::new("no session breaks in a safe mode", format!("{lsn:?} at {node}")));
        }
        Ok(())
    }
}
