//! The replica group that keeps a resource's manifest, on a small simulated network.
//!
//! What to notice: the group does no I/O. This file is all an integrator writes to run it: frames that a member wants
//! sent are taken from `poll_transmit` and handed to the other member's `handle_message` after half a round trip, the
//! clock is advanced to the next frame or timer, and events are drained after every input.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use inos_quorum::{
    Actor, Boot, Config, ConfigError, Event, Group, GroupId, Lsn, Machine, Mode, OpId, Policy, Read, Role, Stage,
    Storage, Undecodable, WriteError, majority,
};

use crate::geography::{Site, round_trip};

/// What the group replicates: for each resource the newest version of its record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Records {
    newest: BTreeMap<u64, Vec<u8>>,
}

impl Records {
    /// The newest committed record of `resource`.
    #[must_use]
    pub fn get(&self, resource: u64) -> Option<&[u8]> {
        self.newest.get(&resource).map(Vec::as_slice)
    }
}

/// Replaces the record of a resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Put {
    /// Which resource.
    pub resource: u64,
    /// Its record.
    pub record: Vec<u8>,
}

impl Machine for Records {
    type Delta = Put;
    /// Bytes of the record that was replaced, if there was one.
    type Output = Option<u64>;
    /// Members of a safe mode drop no write that somebody may have been told of.
    const POLICY: Policy = Policy::Reject;

    fn encode(delta: &Put, out: &mut Vec<u8>) {
        out.extend_from_slice(&delta.resource.to_le_bytes());
        out.extend_from_slice(&delta.record);
    }

    fn decode(bytes: &[u8]) -> Result<Put, Undecodable> {
        let (resource, record) = bytes.split_first_chunk().ok_or(Undecodable)?;
        Ok(Put { resource: u64::from_le_bytes(*resource), record: record.to_vec() })
    }

    fn encode_output(output: &Option<u64>, out: &mut Vec<u8>) {
        if let Some(bytes) = output {
            out.extend_from_slice(&bytes.to_le_bytes());
        }
    }

    fn decode_output(bytes: &[u8]) -> Result<Option<u64>, Undecodable> {
        if bytes.is_empty() {
            return Ok(None);
        }
        bytes.try_into().map(|bytes| Some(u64::from_le_bytes(bytes))).map_err(|_| Undecodable)
    }

    fn apply(&mut self, _: Lsn, delta: &Put) -> Option<u64> {
        self.newest.insert(delta.resource, delta.record.clone()).map(|old| old.len() as u64)
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        for (resource, record) in &self.newest {
            out.extend_from_slice(&resource.to_le_bytes());
            out.extend_from_slice(&(record.len() as u64).to_le_bytes());
            out.extend_from_slice(record);
        }
    }

    fn restore(mut bytes: &[u8]) -> Result<Self, Undecodable> {
        let mut newest = BTreeMap::new();
        while !bytes.is_empty() {
            let (resource, rest) = bytes.split_first_chunk().ok_or(Undecodable)?;
            let (len, rest) = rest.split_first_chunk().ok_or(Undecodable)?;
            let len = usize::try_from(u64::from_le_bytes(*len)).map_err(|_| Undecodable)?;
            let (record, rest) = rest.split_at_checked(len).ok_or(Undecodable)?;
            newest.insert(u64::from_le_bytes(*resource), record.to_vec());
            bytes = rest;
        }
        Ok(Self { newest })
    }
}

/// A write that a majority holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Where it stands in the log.
    pub lsn: Lsn,
    /// The member that was primary.
    pub primary: u32,
    /// From the first attempt to the receipt, elections included, in simulated time.
    pub took: Duration,
}

/// Why the group did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CouncilError {
    /// Too few members are left to decide anything.
    #[error("{alive} of {voters} voters are alive, a decision needs {needed}")]
    NoMajority {
        /// Voters that still run.
        alive: usize,
        /// All voters.
        voters: usize,
        /// A majority of them.
        needed: usize,
    },
    /// Nothing was committed in time.
    #[error("nothing was committed within {waited:?} of simulated time")]
    TimedOut {
        /// How long it was tried.
        waited: Duration,
    },
    /// The group refused the write for good.
    #[error("the group refused the write: {0}")]
    Refused(&'static str),
    /// The group could not be set up.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// How long a write is tried. An election takes one to two seconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// The writer's identity in the group.
const CLIENT: u128 = 1;

#[derive(Debug)]
struct Member {
    group: Group<u32, Records>,
    site: Site,
    alive: bool,
    primary: bool,
}

#[derive(Debug)]
struct Envelope {
    from: u32,
    to: u32,
    frame: Vec<u8>,
}

/// The members of one group and the network between them.
#[derive(Debug)]
pub struct Council {
    members: BTreeMap<u32, Member>,
    /// By arrival, then by the order of sending.
    wire: BTreeMap<(Duration, u64), Envelope>,
    sent: u64,
    now: Duration,
    serial: u64,
    receipts: BTreeMap<u64, Lsn>,
    seed: u64,
    generation: u64,
}

impl Council {
    /// A new group of the nodes `voters`, each at its own site.
    ///
    /// # Errors
    /// [`CouncilError::Config`] when the voters are not distinct or too many.
    pub fn new(voters: &[u32], seed: u64) -> Result<Self, CouncilError> {
        Self::found(voters, seed, 1, Duration::ZERO)
    }

    /// The group that follows this one, with other voters and no records yet. The caller has made sure that nobody
    /// writes to the old one any more.
    ///
    /// # Errors
    /// [`CouncilError::Config`] when the voters are not distinct or too many.
    pub fn successor(&self, voters: &[u32]) -> Result<Self, CouncilError> {
        Self::found(voters, self.seed, self.generation + 1, self.now)
    }

    fn found(voters: &[u32], seed: u64, generation: u64, now: Duration) -> Result<Self, CouncilError> {
        let group = GroupId(u128::from(seed) << 64 | u128::from(generation));
        let config = Config { storage: Storage::Volatile, ..Config::new(group, Mode::Majority) };
        let mut members = BTreeMap::new();
        for &node in voters {
            let actor = Actor { node, incarnation: generation };
            let boot = Boot::Genesis(voters.to_vec());
            let group = Group::new(config.clone(), actor, seed.wrapping_add(u64::from(node)), boot)?;
            members.insert(node, Member { group, site: Site::of(node), alive: true, primary: false });
        }
        let mut council = Self {
            members,
            wire: BTreeMap::new(),
            sent: 0,
            now,
            serial: 0,
            receipts: BTreeMap::new(),
            seed,
            generation,
        };
        for &node in voters {
            council.drain(node);
        }
        Ok(council)
    }

    /// The voters that run and those that were killed.
    #[must_use]
    pub fn census(&self) -> (usize, usize) {
        let alive = self.members.values().filter(|member| member.alive).count();
        (alive, self.members.len() - alive)
    }

    /// The living member that believes it is primary.
    #[must_use]
    pub fn primary(&self) -> Option<u32> {
        self.members.iter().find(|(_, member)| member.alive && member.primary).map(|(&node, _)| node)
    }

    /// Stops the members among `nodes` for good.
    pub fn kill(&mut self, nodes: &BTreeSet<u32>) {
        for (node, member) in &mut self.members {
            if nodes.contains(node) {
                member.alive = false;
                member.primary = false;
            }
        }
    }

    /// Lets the group run for `span` of its own time.
    pub fn run(&mut self, span: Duration) {
        let until = self.now + span;
        while self.step(until) {}
        self.now = until;
    }

    /// Replaces the record of `resource`, through as many elections as it takes.
    ///
    /// # Errors
    /// [`CouncilError::NoMajority`], [`CouncilError::TimedOut`], [`CouncilError::Refused`].
    pub fn write(&mut self, resource: u64, record: &[u8]) -> Result<Committed, CouncilError> {
        let (alive, dead) = self.census();
        let needed = majority(alive + dead);
        if alive < needed {
            return Err(CouncilError::NoMajority { alive, voters: alive + dead, needed });
        }
        self.serial += 1;
        let id = OpId { client: CLIENT, serial: self.serial };
        let start = self.now;
        let mut delta = Put { resource, record: record.to_vec() };
        loop {
            // The same id each time: whatever attempt succeeds, the write is applied once.
            if let Some(primary) = self.primary() {
                let Some(member) = self.members.get_mut(&primary) else { continue };
                match member.group.write(self.now, id, delta.clone()) {
                    Ok(_) | Err(WriteError::NotPrimary { .. }) => {}
                    Err(WriteError::Full { delta: back, .. }) => delta = back,
                    Err(WriteError::TooLarge { .. }) => return Err(CouncilError::Refused("it is larger than a frame")),
                    Err(WriteError::Discarded { .. }) => {
                        return Err(CouncilError::Refused("it fell out of the history"));
                    }
                    Err(_) => return Err(CouncilError::Refused("its serial is too old")),
                }
                self.drain(primary);
            }
            let retry_at = self.now + Duration::from_millis(500);
            while self.now < retry_at {
                if let Some(&lsn) = self.receipts.get(&id.serial) {
                    let primary = self.primary().unwrap_or_default();
                    return Ok(Committed { lsn, primary, took: self.now - start });
                }
                if !self.step(retry_at) {
                    self.now = retry_at;
                }
            }
            if self.now - start > PATIENCE {
                return Err(CouncilError::TimedOut { waited: self.now - start });
            }
        }
    }

    /// What each living member holds for `resource`, the primary first. No promise of freshness: the reader verifies
    /// the record by the id it knows.
    pub fn copies(&self, resource: u64) -> impl Iterator<Item = &[u8]> {
        let mut living: Vec<&Member> = self.members.values().filter(|member| member.alive).collect();
        living.sort_by_key(|member| !member.primary);
        living.into_iter().filter_map(move |member| member.group.read(Read::Local).ok()?.0.get(resource))
    }

    /// Delivers the next frame or fires the next timer, if it is due by `until`.
    fn step(&mut self, until: Duration) -> bool {
        let arrival = self.wire.first_key_value().map(|(&(at, _), _)| at);
        let timer = self
            .members
            .iter()
            .filter(|(_, member)| member.alive)
            .filter_map(|(&node, member)| Some((member.group.poll_timeout()?, node)))
            .min();
        match (arrival, timer) {
            (Some(at), timer) if at <= until && timer.is_none_or(|(due, _)| at <= due) => {
                let (_, Envelope { from, to, frame }) = self.wire.pop_first().expect("it was just seen");
                self.now = self.now.max(at);
                let member = self.members.get_mut(&to).expect("frames go to members");
                // Members and wire are our own, so a refused frame can only be a stale one; the group counts it.
                if member.alive && member.group.handle_message(self.now, from, &frame).is_ok() {
                    self.drain(to);
                }
                true
            }
            (_, Some((due, node))) if due <= until => {
                self.now = self.now.max(due);
                self.members.get_mut(&node).expect("timers belong to members").group.handle_timeout(self.now);
                self.drain(node);
                true
            }
            _ => false,
        }
    }

    /// Takes everything out of a member that an input put there.
    fn drain(&mut self, node: u32) {
        let Some(member) = self.members.get_mut(&node) else { return };
        let mut frame = Vec::new();
        while let Some(to) = member.group.poll_transmit(&mut frame) {
            let delay = round_trip(member.site.region, Site::of(to).region) / 2;
            self.sent += 1;
            self.wire.insert((self.now + delay, self.sent), Envelope { from: node, to, frame: frame.clone() });
        }
        while let Some(event) = member.group.poll_event() {
            match event {
                Event::Receipt { id, stage: Stage::Committed, lsn, .. } => {
                    self.receipts.insert(id.serial, lsn);
                }
                Event::Role { role, .. } => {
                    member.primary = role == Role::Primary;
                }
                _ => {}
            }
        }
    }
}
