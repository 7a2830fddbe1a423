//! How a member goes on from its records.

use alloc::{collections::BTreeSet, vec::Vec};

use super::{
    Group, Office, Rng, Start,
    disk::Recovered,
    entry::{Body, ORPHAN},
    log::len,
    orphans::Kept,
    state::State,
};
use crate::{
    Actor, Config, ConfigError, Event, Id, Machine, MessageError,
    bugs::{Bug, has},
    bytes::Reader,
};

impl<N: Id, M: Machine> Group<N, M> {
    pub(super) fn recovered(config: Config, me: Actor<N>, rng: Rng, found: Recovered<N>) -> Result<Self, ConfigError> {
        let state = State::decode(&found.state).filter(|state: &State<N, M>| state.applied == found.base);
        let state = state.ok_or(ConfigError::State)?;
        let mut group = Self::assemble(config, me, found.seat, rng, found.hard, found.disk, state);
        group.start = Start::Waiting { recovered: true };
        let mut reader = Reader(&found.entries);
        let (mut after, mut floor) = (found.base.sequence, found.base.epoch);
        while !reader.0.is_empty() {
            let entry = group.read_entry(&mut reader, after + 1, floor);
            let entry = entry.map_err(|_| ConfigError::Delta { sequence: after + 1 })?;
            (after, floor) = (after + 1, entry.raw.epoch);
            group.push_entry(&entry);
        }
        if has(Bug::RecoveredLogTakenForCommitted) {
            group.commit = group.log.last().sequence;
            group.apply();
        }
        group.recover_orphans(found.orphans)?;
        let generation = group.hard.generation.number;
        let superseded = if group.hard.conflict {
            Some(Event::GenerationConflict { generation })
        } else if group.is_of_an_older_generation() {
            Some(Event::Superseded { generation })
        } else {
            None
        };
        match superseded {
            Some(event) => {
                group.office = Office::Superseded;
                group.events.push_back(event);
            }
            None => group.settle_orphans(),
        }
        Ok(group)
    }

    /// Storage has all that were kept since the last snapshot record. Those that the history has dealt with must not
    /// drive out others; neither must those that stand in the log as orphans: they are kept again if they fall out.
    fn recover_orphans(&mut self, found: Vec<Kept<N>>) -> Result<(), ConfigError> {
        let (max, max_bytes) = (self.config.max_orphans, len(self.config.max_reassembly));
        let superseded = self.hard.conflict || self.is_of_an_older_generation();
        let mut taken_in = BTreeSet::new();
        for sequence in self.log.base().sequence + 1..=self.log.last().sequence {
            if let Some(Body::Orphan { dot, .. }) = self.log.body(sequence) {
                taken_in.insert(dot);
            }
        }
        let mut dropped = 0;
        for Kept { dot, payload } in found {
            if superseded || !(self.state.dots.contains(dot) || taken_in.contains(&dot)) {
                self.check_kept(&payload)?;
                dropped += self.orphans.keep(dot, payload, max, max_bytes);
            }
        }
        if dropped > 0 {
            self.events.push_back(Event::OrphansDropped { count: dropped });
        }
        Ok(())
    }

    /// It enters the log of whoever takes it in, and there all have to be deltas of this machine.
    fn check_kept(&self, payload: &[u8]) -> Result<(), ConfigError> {
        let Some(body @ Body::Orphan { origin, .. }) = Body::<N>::read(ORPHAN, payload) else { return Ok(()) };
        match self.check_change(&body, origin.sequence) {
            Err(MessageError::Undecodable { sequence }) => Err(ConfigError::Delta { sequence }),
            _ => Ok(()),
        }
    }
}
