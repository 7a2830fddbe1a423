//! One member of a replica group.

pub(crate) mod client;
pub(crate) mod config;
mod disk;
mod election;
pub(crate) mod event;
mod log;
mod peer;
mod replicate;
mod session;
mod wire;

use alloc::{
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};
use core::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use self::{
    client::PendingRead,
    disk::{Disk, HardState, Header, Recovered, recover},
    log::{Body, Entry, Log},
    peer::{Ask, Peer},
    session::Sessions,
    wire::{Envelope, Message},
};
use crate::{
    Actor, Boot, Config, ConfigError, Counters, Event, EventOf, Id, Lsn, MAX_VOTERS, Machine, MessageError, OpId,
    PersistToken, Role, Storage, bytes::Put,
};

/// How far ahead of its own a member believes an epoch: 2^32 elections take 30 years at five a second.
const MAX_EPOCH_JUMP: u64 = 1 << 32;
/// Later times count as this one, so that adding a timer never overflows.
const LAST_TIME: Duration = Duration::from_secs(u64::MAX / 2);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    Follower,
    PreCandidate,
    Candidate,
    Primary,
}

/// When the member refuses votes because of its own start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Start {
    /// No input yet; a fresh group has no past that a vote could betray.
    FreshWaiting,
    /// No input yet; the member may have promised a primary its silence just before it stopped.
    RecoveredWaiting,
    Running {
        no_votes_until: Duration,
    },
}

/// One member of a replica group: bytes and time in, bytes and events out.
///
/// `now` is the time since an epoch the caller chooses; a value below an earlier one counts as that one. After every
/// input, drain [`poll_persist`](Self::poll_persist), [`poll_transmit`](Self::poll_transmit) and
/// [`poll_event`](Self::poll_event) until `None`, in this order, then wait for the next input or for
/// [`poll_timeout`](Self::poll_timeout). The crate's documentation shows the loop.
///
/// Equal members are equal in all future behaviour, which is what a model checker needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Group<N, M: Machine> {
    config: Config,
    envelope: Envelope<N>,
    /// Sorted; this member included.
    voters: Vec<N>,
    rng: Rng,
    now: Duration,
    start: Start,

    state: State,
    hard: HardState<N>,
    disk: Disk,
    log: Log<M::Delta>,
    commit: u64,
    applied: Lsn,
    machine: M,
    sessions: Sessions<M::Output>,

    primary: Option<N>,
    /// When the primary of this epoch was last heard.
    heard_primary_at: Option<Duration>,
    election_at: Duration,
    /// Next repetition: of vote requests for a candidate, of heartbeats for a primary.
    repeat_at: Duration,
    /// As follower: entries up to here agree with the primary of this epoch.
    verified: u64,
    /// As follower: the last round of this epoch's primary.
    round_seen: u64,

    peers: Vec<Peer<N>>,
    /// As primary: numbers the broadcasts, to tell what an answer came after.
    round: u64,
    /// As primary: the first entry of the epoch.
    epoch_start: u64,
    /// As primary: the writes in the log that are not yet committed.
    in_flight: BTreeMap<OpId, u64>,
    /// As primary: the entries whose writers wait here.
    pending: BTreeMap<u64, OpId>,
    write_deadlines: VecDeque<(Duration, u64)>,
    reads: VecDeque<PendingRead>,
    next_read: u64,

    events: VecDeque<Event<N, M::Output>>,
    counters: Counters,
}

impl<N: Id, M: Machine> Group<N, M> {
    /// A member of the group of `config`, as `me`. `seed` spreads the election timers; it needs no secrecy, and the
    /// same one may be given to all members.
    ///
    /// The first [`poll_timeout`](Self::poll_timeout) is zero: call [`handle_timeout`](Self::handle_timeout) once to
    /// tell the member the time.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] says what does not fit; nothing is handed out then.
    pub fn new(config: Config, me: Actor<N>, seed: u64, boot: Boot<N>) -> Result<Self, ConfigError> {
        config.check()?;
        let (start, recovered) = match boot {
            Boot::Genesis(voters) => {
                let hard = HardState { epoch: 0, voted_for: None };
                (Start::FreshWaiting, Recovered { disk: Disk::new(), voters, hard, entries: Vec::new() })
            }
            Boot::Recover(_) if config.storage == Storage::Volatile => return Err(ConfigError::VolatileRecovery),
            Boot::Recover(records) => (Start::RecoveredWaiting, recover(config.group, me.node, &records)?),
        };
        let Recovered { disk, mut voters, hard, entries } = recovered;
        let given = voters.len();
        voters.sort_unstable();
        voters.dedup();
        if voters.len() != given || !(1..=MAX_VOTERS).contains(&given) {
            return Err(ConfigError::Voters { given, distinct: voters.len() });
        }
        if !voters.contains(&me.node) {
            return Err(ConfigError::NotVoter);
        }
        let mut names = Vec::new();
        voters.iter().for_each(|voter| names.put_id(voter));
        let mut own_name = Vec::new();
        own_name.put_id(&me.node);
        own_name.put(&me.incarnation.to_le_bytes());
        let envelope = Envelope { group: config.group, voters_hash: xxh3_64(&names), me, max_frame: config.max_frame };
        let mut group = Self {
            envelope,
            rng: Rng(seed ^ xxh3_64(&own_name)),
            now: Duration::ZERO,
            start,
            state: State::Follower,
            hard,
            disk,
            log: Log::new(),
            commit: 0,
            applied: Lsn::default(),
            machine: M::default(),
            sessions: Sessions::new(),
            primary: None,
            heard_primary_at: None,
            election_at: Duration::ZERO,
            repeat_at: Duration::ZERO,
            verified: 0,
            round_seen: 0,
            peers: voters.iter().filter(|&&voter| voter != me.node).map(|&voter| Peer::new(voter)).collect(),
            voters,
            round: 0,
            epoch_start: 0,
            in_flight: BTreeMap::new(),
            pending: BTreeMap::new(),
            write_deadlines: VecDeque::new(),
            reads: VecDeque::new(),
            next_read: 0,
            events: VecDeque::new(),
            counters: Counters::default(),
            config,
        };
        group.refill(entries)?;
        Ok(group)
    }

    /// Puts recovered entries back into the log.
    fn refill(&mut self, entries: Vec<Entry>) -> Result<(), ConfigError> {
        for (index, entry) in entries.into_iter().enumerate() {
            let delta = match &entry.body {
                Body::EpochStart => None,
                Body::Write { delta, .. } if delta.len() > self.max_delta_bytes() => {
                    return Err(ConfigError::FrameLimit { max_frame: self.config.max_frame });
                }
                Body::Write { delta, .. } => {
                    Some(M::decode(delta).map_err(|_| ConfigError::Delta { sequence: sequence(index + 1) })?)
                }
            };
            self.log.push(entry, delta);
        }
        Ok(())
    }

    /// Takes a frame that the transport received from `from`, whom the transport has authenticated.
    ///
    /// # Errors
    ///
    /// [`MessageError`]: the frame was refused and nothing but [`Counters::refused`] changed. Loss, duplication and
    /// reordering are no errors.
    pub fn handle_message(&mut self, now: Duration, from: N, frame: &[u8]) -> Result<(), MessageError> {
        self.advance(now);
        let result = self.receive(from, frame);
        match result {
            Ok(()) => self.counters.accepted += 1,
            Err(_) => self.counters.refused += 1,
        }
        result
    }

    fn receive(&mut self, from: N, frame: &[u8]) -> Result<(), MessageError> {
        let peer = self.peers.iter().position(|peer| peer.node == from).ok_or(MessageError::NotMember)?;
        let (incarnation, message) = self.envelope.read(frame)?;
        if message.epoch() > self.hard.epoch.saturating_add(MAX_EPOCH_JUMP) {
            return Err(MessageError::EpochJump { found: message.epoch(), current: self.hard.epoch });
        }
        let restarted = self.peers[peer].incarnation.is_some_and(|known| known != incarnation);
        if restarted && self.config.storage == Storage::Volatile {
            return Err(MessageError::Restarted { found: incarnation });
        }
        match message {
            Message::PreVote { epoch, last } => self.on_pre_vote(peer, epoch, last),
            Message::PreVoteReply { epoch, asked, verdict } => self.on_pre_vote_reply(peer, epoch, asked, verdict),
            Message::Vote { epoch, last } => self.on_vote(peer, epoch, last),
            Message::VoteReply { epoch, verdict } => self.on_vote_reply(peer, epoch, verdict),
            Message::Append { .. } => self.on_append(peer, message)?,
            Message::AppendReply { epoch, matched, round, mismatch } => {
                self.on_append_reply(peer, epoch, matched, round, mismatch)?;
            }
        }
        self.peers[peer].incarnation = Some(incarnation);
        Ok(())
    }

    /// Does what is due. Calling it early, late or twice is harmless.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.advance(now);
        match self.state {
            State::Follower if self.now >= self.election_at => self.start_pre_vote(),
            State::PreCandidate | State::Candidate if self.now >= self.election_at => self.start_pre_vote(),
            State::PreCandidate | State::Candidate if self.now >= self.repeat_at => self.repeat_requests(),
            State::Primary => {
                self.resign_without_majority();
                if self.state == State::Primary && self.now >= self.repeat_at {
                    self.repeat_heartbeat();
                }
                self.expire_writes();
            }
            _ => {}
        }
    }

    /// Storage holds the record of `token`, and all records before it, so that a crash cannot undo them.
    ///
    /// A record that storage failed to write leaves the member unable to keep its promises: drop the `Group` and
    /// recover from what storage holds.
    pub fn persisted(&mut self, now: Duration, token: PersistToken) {
        self.advance(now);
        let before = self.disk.durable_entry();
        self.disk.persisted(token);
        match self.state {
            State::Candidate => self.count_votes(),
            State::Primary => self.try_commit(),
            State::Follower if self.disk.durable_entry() > before => self.owe_append_reply(),
            _ => {}
        }
    }

    /// The next record to store, written to `out` (which is cleared first), and its name. Store records in this
    /// order; each carries its own checksum. Report them with [`persisted`](Self::persisted), one by one or by the
    /// last of several. With [`Storage::Volatile`] always `None`.
    pub fn poll_persist(&mut self, out: &mut Vec<u8>) -> Option<PersistToken> {
        if self.config.storage == Storage::Volatile {
            return None;
        }
        let header = Header { group: self.config.group, me: self.envelope.me.node, voters: &self.voters };
        self.disk.poll(header, &self.hard, &self.log, self.config.max_frame, out)
    }

    /// The next frame to send, written to `out` (which is cleared first), and whom to send it to. Members with the
    /// shortest round trip come first. Frames may be lost: what matters is repeated.
    ///
    /// O(members + frame length).
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) -> Option<N> {
        let ready = self.hard_is_ready();
        let index = (0..self.peers.len())
            .filter(|&index| self.has_frame(index, ready))
            .min_by_key(|&index| (self.peers[index].round_trip_us, self.peers[index].node))?;
        self.write_frame(index, out);
        Some(self.peers[index].node)
    }

    /// No promise, request or answer may leave before the hard state behind it is stored.
    fn has_frame(&self, index: usize, ready: bool) -> bool {
        let peer = &self.peers[index];
        let owed = peer.owed_pre_vote.is_some() || peer.owed_vote.is_some() || peer.owed_append.is_some();
        let asks = peer.ask == Ask::Due && matches!(self.state, State::PreCandidate | State::Candidate);
        ready && (owed || asks || self.has_append(peer))
    }

    fn write_frame(&mut self, index: usize, out: &mut Vec<u8>) {
        let epoch = self.hard.epoch;
        let last = self.log.last();
        let agreed = self.verified.min(self.held());
        let round = self.round_seen;
        let peer = &mut self.peers[index];
        let to = peer.node;
        if let Some((asked, verdict)) = peer.owed_pre_vote.take() {
            self.envelope.write(to, &Message::PreVoteReply { epoch, asked, verdict }, out);
        } else if let Some(verdict) = peer.owed_vote.take() {
            self.envelope.write(to, &Message::VoteReply { epoch, verdict }, out);
        } else if let Some(mismatch) = peer.owed_append.take() {
            self.envelope.write(to, &Message::AppendReply { epoch, matched: agreed, round, mismatch }, out);
        } else if self.state == State::Primary {
            self.write_append(index, out);
        } else {
            peer.ask = Ask::Sent;
            let message = match self.state {
                State::Candidate => Message::Vote { epoch, last },
                _ => Message::PreVote { epoch: epoch.saturating_add(1), last },
            };
            self.envelope.write(to, &message, out);
        }
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<EventOf<N, M>> {
        self.events.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), on the clock of `now`. Always something: a member is
    /// never without a deadline.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        Some(match self.state {
            _ if !matches!(self.start, Start::Running { .. }) => Duration::ZERO,
            State::Follower => self.election_at,
            State::PreCandidate | State::Candidate => self.election_at.min(self.repeat_at),
            State::Primary => {
                let write = self.write_deadlines.iter().find(|(_, sequence)| self.pending.contains_key(sequence));
                write.map_or(self.repeat_at, |&(deadline, _)| deadline.min(self.repeat_at))
            }
        })
    }

    /// What the member is at present.
    #[must_use]
    pub fn role(&self) -> Role {
        match self.state {
            State::Follower => Role::Follower,
            State::PreCandidate | State::Candidate => Role::Candidate,
            State::Primary => Role::Primary,
        }
    }

    /// The member's epoch.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.hard.epoch
    }

    /// The primary of this epoch, if known.
    #[must_use]
    pub fn primary(&self) -> Option<N> {
        self.primary
    }

    /// The voters, sorted.
    #[must_use]
    pub fn voters(&self) -> &[N] {
        &self.voters
    }

    /// The last entry of this member's log, committed or not.
    #[must_use]
    pub fn last(&self) -> Lsn {
        self.log.last()
    }

    /// What happened to frames in this life.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The settings it was started with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    fn advance(&mut self, now: Duration) {
        self.now = self.now.max(now.min(LAST_TIME));
        let elect_min = self.config.elect_min;
        match self.start {
            Start::Running { .. } => {}
            Start::FreshWaiting => {
                self.start = Start::Running { no_votes_until: Duration::ZERO };
                self.election_at = self.now + self.rng.between(Duration::ZERO, elect_min / 2);
            }
            Start::RecoveredWaiting => {
                self.start = Start::Running { no_votes_until: self.now + elect_min };
                self.election_at = self.now + self.rng.between(elect_min, elect_min * 3 / 2);
            }
        }
    }

    fn hard_is_ready(&self) -> bool {
        self.config.storage == Storage::Volatile || self.disk.hard_is_durable()
    }

    /// The last entry this member holds as its storage demands.
    fn held(&self) -> u64 {
        match self.config.storage {
            Storage::Durable => self.disk.durable_entry(),
            Storage::Volatile => self.log.last().sequence,
        }
    }

    /// Takes a role and tells of it, merged with the telling before when that was not yet polled.
    fn set_state(&mut self, state: State, primary: Option<N>) {
        self.state = state;
        self.primary = primary;
        let event = Event::Role { role: self.role(), epoch: self.hard.epoch, primary: self.primary };
        match self.events.back_mut() {
            Some(last @ Event::Role { .. }) => *last = event,
            _ => self.events.push_back(event),
        }
    }
}

fn sequence(index: usize) -> u64 {
    u64::try_from(index).unwrap_or(u64::MAX)
}

/// SplitMix64 (Steele, Lea, Flood 2014): spreads timers, nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From `low` to `high`, in whole microseconds.
    fn between(&mut self, low: Duration, high: Duration) -> Duration {
        let span_us = u64::try_from(high.saturating_sub(low).as_micros()).unwrap_or(u64::MAX - 1);
        low + Duration::from_micros(self.next() % (span_us + 1))
    }
}
