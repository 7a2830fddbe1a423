//! A network without faults but cuts, for scripted tests: frames arrive at once, storage syncs at once.

use alloc::collections::BTreeSet;
use core::time::Duration;

use inos_quorum::{
    Actor, Boot, Config, ConfigError, Event, Group, GroupId, Lsn, Machine, Mode, NodeClass, OpId, Orphan, PeerState,
    Policy, Read, Role, Stage, Storage, Undecodable, WriteError,
};

/// Keeps every write it was given; answers with how many those are. One that merges takes in the orphans whose values it
/// does not have, each with the place where it stood, and answers with what its writer had read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Ledger<const MERGES: bool = false> {
    pub(crate) applied: Vec<(Lsn, u64)>,
}

/// A value and some ballast, so that frames fill up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Delta {
    pub(crate) value: u64,
    pub(crate) ballast: usize,
}

impl Delta {
    pub(crate) fn small(value: u64) -> Self {
        Self { value, ballast: 0 }
    }
}

impl<const MERGES: bool> Machine for Ledger<MERGES> {
    type Delta = Delta;
    type Output = u64;
    const POLICY: Policy = if MERGES { Policy::Crdt } else { Policy::Reject };

    fn encode(delta: &Delta, out: &mut Vec<u8>) {
        out.extend_from_slice(&delta.value.to_le_bytes());
        out.resize(out.len() + delta.ballast, 0xda);
    }

    fn decode(bytes: &[u8]) -> Result<Delta, Undecodable> {
        let (value, ballast) = bytes.split_first_chunk().ok_or(Undecodable)?;
        let intact = ballast.iter().all(|&byte| byte == 0xda);
        if intact { Ok(Delta { value: u64::from_le_bytes(*value), ballast: ballast.len() }) } else { Err(Undecodable) }
    }

    fn apply(&mut self, lsn: Lsn, delta: &Delta) -> u64 {
        self.applied.push((lsn, delta.value));
        self.applied.len() as u64
    }

    fn encode_output(output: &u64, out: &mut Vec<u8>) {
        out.extend_from_slice(&output.to_le_bytes());
    }

    fn decode_output(bytes: &[u8]) -> Result<u64, Undecodable> {
        bytes.try_into().map(u64::from_le_bytes).map_err(|_| Undecodable)
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        for (lsn, value) in &self.applied {
            [lsn.epoch, lsn.sequence, *value].iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
        }
    }

    fn restore(bytes: &[u8]) -> Result<Self, Undecodable> {
        let (words, []) = bytes.as_chunks::<8>() else { return Err(Undecodable) };
        let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let (entries, []) = words.as_chunks::<3>() else { return Err(Undecodable) };
        let applied = entries.iter().map(|&[epoch, sequence, value]| (Lsn { epoch, sequence }, value)).collect();
        Ok(Self { applied })
    }

    fn reconcile(&mut self, _: Lsn, orphan: &Orphan<'_, Delta>) -> Option<u64> {
        let value = orphan.delta.value;
        let is_new = self.applied.iter().all(|&(_, other)| other != value);
        is_new.then(|| {
            self.applied.push((orphan.lsn, value));
            orphan.read
        })
    }
}

pub(crate) type Member = Group<u64, Ledger>;

pub(crate) fn config(elect_ms: u64) -> Config {
    Config {
        elect_min: Duration::from_millis(elect_ms),
        heartbeat: Duration::from_millis(elect_ms / 10),
        ..Config::new(GroupId(0x1905), Mode::Majority)
    }
}

pub(crate) fn value(id: OpId) -> u64 {
    u64::try_from(id.client).expect("small") << 32 | id.serial
}

/// Three are enough.
pub(crate) fn three() -> Config {
    Config { target: 3, recruit_below: 3, ..config(1000) }
}

/// A volatile configuration, for tests that play the network themselves.
pub(crate) fn volatile() -> Config {
    Config { storage: Storage::Volatile, ..config(1000) }
}

pub(crate) type Net = Network<false>;

#[derive(Clone)]
pub(crate) struct Network<const MERGES: bool> {
    pub(crate) now: Duration,
    pub(crate) members: Vec<Option<Group<u64, Ledger<MERGES>>>>,
    pub(crate) records: Vec<Vec<Vec<u8>>>,
    pub(crate) events: Vec<(usize, Event<u64, u64>)>,
    pub(crate) cut: BTreeSet<(usize, usize)>,
    /// Members whose storage takes records and never says that they are durable.
    pub(crate) unsynced: BTreeSet<usize>,
    /// Frames that are lost.
    pub(crate) lose: fn(&[u8]) -> bool,
    restarts: u64,
    /// All frames that were sent: from, to, bytes.
    pub(crate) sent: Vec<(usize, usize, Vec<u8>)>,
}

pub(crate) fn op(serial: u64) -> OpId {
    OpId { client: 1, serial }
}

/// One write.
pub(crate) fn one() -> [(OpId, Delta); 1] {
    [(op(1), Delta::small(value(op(1))))]
}

/// The seat of a founder.
pub(crate) fn seat(node: usize) -> Actor<u64> {
    Actor { node: node as u64, incarnation: 0 }
}

/// The first life of a node, and its seat when it joins.
pub(crate) fn life(node: usize) -> Actor<u64> {
    Actor { node: node as u64, incarnation: 1 }
}

pub(crate) fn found<const MERGES: bool>(config: &Config, node: usize, voters: usize) -> Group<u64, Ledger<MERGES>> {
    let founders = Boot::Genesis((0..voters as u64).collect());
    Group::new(config.clone(), life(node), 7, founders).expect("a sound configuration")
}

/// Stores whatever the member wants stored.
pub(crate) fn store(member: &mut Member, now: Duration) {
    let mut record = Vec::new();
    while let Some(token) = member.poll_persist(&mut record) {
        member.persisted(now, token);
    }
}

impl<const MERGES: bool> Network<MERGES> {
    pub(crate) fn new(voters: usize, config: &Config) -> Self {
        Self {
            now: Duration::from_secs(1),
            members: (0..voters).map(|node| Some(found(config, node, voters))).collect(),
            records: vec![Vec::new(); voters],
            events: Vec::new(),
            cut: BTreeSet::new(),
            unsynced: BTreeSet::new(),
            lose: |_| false,
            restarts: 0,
            sent: Vec::new(),
        }
    }

    /// The node starts, or starts again without its memory, as one that is still to be added.
    pub(crate) fn join(&mut self, me: Actor<u64>, config: &Config) {
        let node = usize::try_from(me.node).expect("small");
        let contacts = (0..self.members.len() as u64).filter(|&other| other != me.node).collect();
        let mut member = Group::new(config.clone(), me, 7, Boot::Join(contacts)).expect("a sound configuration");
        member.handle_timeout(self.now);
        if node == self.members.len() {
            self.members.push(None);
            self.records.push(Vec::new());
        }
        self.members[node] = Some(member);
        self.records[node].clear();
    }

    /// A node starts, joins, and has caught up, or is a voter already where one is missing.
    pub(crate) fn recruit(&mut self, primary: usize, me: Actor<u64>, config: &Config) {
        self.join(me, config);
        let now = self.now;
        self.member(primary).add_learner(now, me, NodeClass::Voter).expect("all is calm");
        self.pass(Duration::from_secs(1));
    }

    /// Another primary in place of one that is cut off. Then the two reach each other and nobody else: what the first has
    /// handed over is in the log of the second, and cannot be committed.
    pub(crate) fn succeed_in_vain(&mut self, first: usize) -> usize {
        let second = self.succeed(first);
        self.pass(Duration::from_secs(1));
        self.isolate(&[second]);
        self.cut.retain(|&cut| cut != (first, second) && cut != (second, first));
        self.pass(Duration::from_millis(500));
        second
    }

    /// How many entries a member does not know to be committed.
    pub(crate) fn uncommitted(&mut self, node: usize) -> u64 {
        let member = self.member(node);
        member.last().sequence - member.committed().sequence
    }

    /// Each member is told by its detector that all others live.
    pub(crate) fn all_are_alive(&mut self) {
        let lives: Vec<_> = self.members.iter().flatten().map(|member| (member.seat().node, 1)).collect();
        for member in self.members.iter_mut().flatten() {
            let own = member.seat().node;
            for &(node, incarnation) in lives.iter().filter(|(node, _)| *node != own) {
                member.peer_state(self.now, node, PeerState::Alive { incarnation });
            }
        }
    }

    /// A group that has elected; the primary's index with it.
    pub(crate) fn elected(voters: usize, config: &Config) -> (Self, usize) {
        let mut net = Self::new(voters, config);
        let primary = net.elect();
        net.events.clear();
        (net, primary)
    }

    pub(crate) fn elect(&mut self) -> usize {
        for _ in 0..1000 {
            if let Some(primary) = self.primary() {
                self.settle();
                return primary;
            }
            self.pass(Duration::from_millis(10));
        }
        panic!("no primary after ten seconds");
    }

    /// The primary of the highest epoch.
    pub(crate) fn primary(&self) -> Option<usize> {
        let claims = self.members.iter().enumerate().filter_map(|(index, member)| Some((index, member.as_ref()?)));
        let claims = claims.filter(|(_, member)| member.role() == Role::Primary);
        claims.max_by_key(|(_, member)| member.epoch()).map(|(index, _)| index)
    }

    /// Lets time pass until somebody else leads.
    pub(crate) fn succeed(&mut self, old: usize) -> usize {
        for _ in 0..1000 {
            if let Some(primary) = self.primary().filter(|&primary| primary != old) {
                return primary;
            }
            self.pass(Duration::from_millis(10));
        }
        panic!("no successor after ten seconds");
    }

    /// One of `voters` is primary, writes `writes` cut off, and is deposed. The network, that one, its successor.
    pub(crate) fn deposed(voters: usize, config: &Config, writes: &[(OpId, Delta)]) -> (Self, usize, usize) {
        let (mut net, old) = Self::elected(voters, config);
        net.isolate(&[old]);
        for (id, delta) in writes {
            net.write_delta(old, *id, delta.clone()).expect("it cannot know yet");
        }
        let new = net.succeed(old);
        (net, old, new)
    }

    /// A group of three, of which one is so far behind that it needs a snapshot, of which no long part has arrived yet.
    /// The network, the primary, that one.
    pub(crate) fn behind(config: &Config) -> (Self, usize, usize) {
        let (mut net, primary) = Self::elected(3, config);
        let away = (primary + 1) % 3;
        net.isolate(&[away]);
        for serial in 1..=100 {
            net.write(primary, op(serial)).expect("taken");
        }
        net.cut.clear();
        // Kind 7 is a part.
        net.lose = |frame| frame[3] == 7 && frame.len() > 900;
        net.pass(Duration::from_secs(1));
        (net, primary, away)
    }

    /// The second life of a node.
    pub(crate) fn recover(
        config: &Config,
        node: usize,
        records: &[Vec<u8>],
    ) -> Result<Group<u64, Ledger<MERGES>>, ConfigError> {
        Self::recover_as(config, node, 2, records)
    }

    fn recover_as(
        config: &Config,
        node: usize,
        incarnation: u64,
        records: &[Vec<u8>],
    ) -> Result<Group<u64, Ledger<MERGES>>, ConfigError> {
        let me = Actor { node: node as u64, incarnation };
        Group::new(config.clone(), me, 7, Boot::Recover(records.to_vec()))
    }

    /// The node crashes and recovers from what it stored.
    pub(crate) fn restart(&mut self, node: usize, config: &Config) {
        self.restarts += 1;
        let recovered = Self::recover_as(config, node, 1 + self.restarts, &self.records[node]);
        self.members[node] = Some(recovered.expect("records are whole"));
    }

    pub(crate) fn member(&mut self, node: usize) -> &mut Group<u64, Ledger<MERGES>> {
        self.members[node].as_mut().expect("the member runs")
    }

    /// Delivers until nothing moves.
    pub(crate) fn settle(&mut self) {
        let mut buffer = Vec::new();
        loop {
            let mut moved = false;
            for node in 0..self.members.len() {
                let Some(member) = &mut self.members[node] else { continue };
                while let Some(token) = member.poll_persist(&mut buffer) {
                    self.records[node].push(buffer.clone());
                    if !self.unsynced.contains(&node) {
                        member.persisted(self.now, token);
                    }
                }
                let mut frames = Vec::new();
                while let Some(to) = member.poll_transmit(&mut buffer) {
                    frames.push((usize::try_from(to).expect("small"), buffer.clone()));
                }
                while let Some(event) = member.poll_event() {
                    self.events.push((node, event));
                }
                for (to, frame) in frames {
                    moved = true;
                    self.sent.push((node, to, frame.clone()));
                    let lost = self.cut.contains(&(node, to)) || (self.lose)(&frame);
                    if let (false, Some(receiver)) = (lost, &mut self.members[to]) {
                        // A refusal is the business of the tests that look at counters.
                        let _ = receiver.handle_message(self.now, node as u64, &frame);
                    }
                }
            }
            if !moved {
                return;
            }
        }
    }

    /// Lets time pass, timer by timer.
    pub(crate) fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        self.settle();
        loop {
            let due = self.members.iter().flatten().filter_map(Group::poll_timeout).min();
            // A group that is idle, or superseded, waits for nothing.
            let Some(due) = due.map(|due| due.max(self.now)) else { break };
            if due > end {
                break;
            }
            self.now = due;
            for member in self.members.iter_mut().flatten() {
                if member.poll_timeout().is_some_and(|timeout| timeout <= due) {
                    member.handle_timeout(due);
                }
            }
            self.settle();
        }
        self.now = end;
    }

    pub(crate) fn write(&mut self, node: usize, id: OpId) -> Result<Lsn, WriteError<u64, Delta>> {
        self.write_delta(node, id, Delta::small(value(id)))
    }

    pub(crate) fn write_delta(&mut self, node: usize, id: OpId, delta: Delta) -> Result<Lsn, WriteError<u64, Delta>> {
        let now = self.now;
        let result = self.member(node).write(now, id, delta);
        self.settle();
        result
    }

    /// Stages of the receipts a member gave for a write, with their outputs.
    pub(crate) fn receipts(&self, node: usize, id: OpId) -> Vec<(Stage, Option<u64>)> {
        let of = |(by, event): &(usize, Event<u64, u64>)| match event {
            Event::Receipt { id: of, stage, output, .. } if *by == node && *of == id => Some((*stage, *output)),
            _ => None,
        };
        self.events.iter().filter_map(of).collect()
    }

    /// The values a member has applied.
    pub(crate) fn values(&mut self, node: usize) -> Vec<u64> {
        self.member(node).read(Read::Local).expect("never fails").0.applied.iter().map(|&(_, value)| value).collect()
    }

    /// Cuts the members of `side` off from all others.
    pub(crate) fn isolate(&mut self, side: &[usize]) {
        for from in 0..self.members.len() {
            for to in 0..self.members.len() {
                if side.contains(&from) != side.contains(&to) {
                    self.cut.insert((from, to));
                }
            }
        }
    }
}
