//! One member of a replica group.

mod change;
pub(crate) mod client;
pub(crate) mod config;
mod contact;
mod disk;
mod election;
mod entry;
pub(crate) mod event;
mod fast;
mod generation;
mod log;
pub(crate) mod membership;
mod orphan;
mod orphans;
mod parcel;
mod peer;
mod quiet;
mod recover;
mod replicate;
mod session;
mod state;
pub(crate) mod wire;

use alloc::{
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};
use core::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use self::{
    client::{Doubt, Pending, PendingRead},
    disk::{Disk, HardState, Source, recover},
    log::Log,
    orphans::Orphans,
    parcel::Incoming,
    peer::{Ask, Peer},
    state::State,
    wire::{Envelope, Message},
};
use crate::{
    Actor, Boot, Config, ConfigError, Configuration, Counters, Dot, Event, EventOf, Generation, Id, Lsn, MAX_VOTERS,
    Machine, MessageError, Mode, OpId, PeerState, PersistToken, Role, Storage,
    bugs::{Bug, has},
    bytes::Put,
};

/// How far ahead of its own a member believes an epoch: 2^32 elections take 30 years at five a second.
const MAX_EPOCH_JUMP: u64 = 1 << 32;
/// Later times count as this one, so that adding a timer never overflows.
const LAST_TIME: Duration = Duration::from_secs(u64::MAX / 2);
/// No history is longer, and no configuration has a greater number: 146,000 years of a million changes a second. Leaves
/// room for whatever is added to either.
const MAX_SEQUENCE: u64 = 1 << 62;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Start {
    /// Has not been told the time yet. A recovered member may have promised things a moment ago.
    Waiting {
        recovered: bool,
    },
    Running {
        no_votes_until: Duration,
    },
}

/// What the member is at, in its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Office {
    Follower,
    PreCandidate,
    Candidate,
    Primary,
    /// A later generation exists, or another one of the same number: acknowledges nothing any more.
    Superseded,
}

/// What only a primary needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Lead<N> {
    /// Number of the last request for an answer, echoed by the members: whoever echoes it was a follower after it.
    round: u64,
    /// When the rounds that are not confirmed yet were opened.
    rounds: VecDeque<(u64, Duration)>,
    /// A majority has echoed this round.
    confirmed: u64,
    /// After a gap: nothing is answered from the lease, or as `Fast`, until a round beyond this is confirmed.
    fenced: u64,
    lease_until: Duration,
    /// A transfer was begun: somebody may be elected in spite of the lease.
    lease_barred: bool,
    /// The first entry of the epoch.
    start: u64,
    /// The writes in the log that are not committed, ascending.
    in_flight: Vec<(OpId, u64)>,
    orphans_in_flight: Vec<(Dot<N>, OpId)>,
    /// The clients that uncommitted entries expire, and where these stand.
    expiring: Vec<(u128, u64)>,
    /// The uncommitted entries of this epoch and when they were appended.
    ages: VecDeque<(u64, Duration)>,
    /// Fast receipts were given up to here.
    fast_to: u64,
    /// Who is to take over, and until when that is waited for.
    transfer: Option<(Actor<N>, Duration)>,
    /// This member takes itself out of the group.
    leaving: bool,
    /// The followers were told to stop waiting for heartbeats.
    quiet: bool,
    /// The first round that says so.
    quiet_since: u64,
    told_need: Option<(usize, Vec<Actor<N>>)>,
}

impl<N> Lead<N> {
    const fn new() -> Self {
        Self {
            round: 0,
            rounds: VecDeque::new(),
            confirmed: 0,
            fenced: 0,
            lease_until: Duration::ZERO,
            lease_barred: false,
            start: 0,
            in_flight: Vec::new(),
            orphans_in_flight: Vec::new(),
            expiring: Vec::new(),
            ages: VecDeque::new(),
            fast_to: 0,
            transfer: None,
            leaving: false,
            quiet: false,
            quiet_since: 0,
            told_need: None,
        }
    }
}

/// One member of a replica group: bytes and time in, bytes and events out. See the crate's overview for the loop.
///
/// `now` is the time since an epoch the caller chooses; a value below an earlier one counts as that one. After every
/// input, drain [`poll_persist`](Self::poll_persist), [`poll_transmit`](Self::poll_transmit) and
/// [`poll_event`](Self::poll_event) until `None`, then wait for the next input or for
/// [`poll_timeout`](Self::poll_timeout). Inputs that are there at once may share a drain: one sync for many records is
/// what makes durable writes quick. No frame is given out before what it promises is stored, so a primary may send first.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Group<N, M: Machine> {
    config: Config,
    envelope: Envelope<N>,
    rng: Rng,
    now: Duration,
    start: Start,
    office: Office,

    hard: HardState<N>,
    #[cfg(inos_bug)]
    normal_epoch: u64,
    disk: Disk,
    log: Log<N>,
    commit: u64,
    /// What is committed and applied.
    state: State<N, M>,
    /// In [`Mode::Fast`]: the whole log applied.
    tip: Option<State<N, M>>,
    /// The configurations in the log that are not applied yet. The last one rules.
    changes: VecDeque<(u64, Configuration<N>)>,
    orphans: Orphans<N>,
    /// The greatest counter of the dots of this life.
    counter: u64,
    /// Empty between calls.
    scratch: Vec<u8>,

    primary: Option<Actor<N>>,
    heard_primary_at: Option<Duration>,
    election_at: Duration,
    /// Requests of a candidate or heartbeats of a primary.
    repeat_at: Duration,
    /// Up to here the log is that of the primary of this epoch.
    verified: u64,
    /// The last round of the primary of this epoch.
    round_seen: u64,
    /// By epoch: the greatest entry known to have been acknowledged `Fast` and not yet seen committed or lost.
    fast_known: Vec<Lsn>,
    /// By epoch: of what was acknowledged `Fast`, how much was reported as lost.
    fast_told: Vec<Lsn>,
    /// As candidate: until when it waits for a member that has what it misses.
    grace_until: Duration,
    /// Since it last heard a primary: asked for votes in vain; let a longer log go first.
    canvass_failed: bool,
    stepped_aside: bool,
    /// Until then it may stand although it is no voter in its own log: others count it as one, and lack what it has.
    called_until: Duration,
    /// The primary of this epoch said that it will be silent.
    quiet: bool,

    peers: Vec<Peer<N>>,
    /// What the detector has said last, by node.
    words: BTreeMap<N, PeerState>,
    /// Whose frames are heard although they are no members.
    introduced: VecDeque<N>,
    incoming: Option<Incoming<N>>,
    /// The state that is being sent to stragglers.
    snapshot: Option<(Lsn, Vec<u8>)>,
    /// When it was made.
    snapshot_at: Duration,
    lead: Lead<N>,
    /// Superseded: what the present generation lacks has been put aside.
    parted: bool,
    /// The number of the committed configuration that took this member out of the group.
    removed: Option<u64>,
    /// Taken out of the group: copies of its uncommitted writes up to here were kept, to be handed over.
    copies_of: Lsn,

    /// Writes of the present epoch that wait here, ascending.
    pending: VecDeque<Pending>,
    write_deadlines: VecDeque<(Duration, u64)>,
    /// In [`Mode::Fast`], of writes that wait: sequence, place and output in the uncommitted state, ascending.
    early: VecDeque<(u64, Lsn, M::Output)>,
    /// Writes of former epochs whose outcome is awaited.
    doubts: Vec<Doubt>,
    reads: VecDeque<PendingRead>,
    next_read: u64,

    events: VecDeque<Event<N, M::Output>>,
    counters: Counters,
}

impl<N: Id, M: Machine> Group<N, M> {
    /// A member of the group of `config`, as `me`: this life of the node, with an incarnation it never had. `boot` says
    /// which [`seat`](Self::seat) it has. `seed` spreads the election timers; it needs no secrecy, and the
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
        let mut own_name = Vec::new();
        own_name.put_actor(&me);
        let fresh = HardState { epoch: 0, vote: None, generation: Generation::default(), conflict: false };
        let rng = Rng(seed ^ xxh3_64(&own_name));
        let blank =
            State::new(Configuration { number: 0, voters: Vec::new(), outgoing: Vec::new(), learners: Vec::new() });
        let mut group = match boot {
            Boot::Genesis(founders) => {
                let configuration = founding(&founders)?;
                let seat = Actor { node: me.node, incarnation: 0 };
                if !configuration.is_voter(seat) {
                    return Err(ConfigError::NotMember);
                }
                Self::assemble(config, me, seat, rng, fresh, Disk::new(), State::new(configuration))
            }
            Boot::Join(_) if me.incarnation == 0 => return Err(ConfigError::NotMember),
            Boot::Join(contacts) => {
                let mut group = Self::assemble(config, me, me, rng, fresh, Disk::new(), blank);
                contacts.into_iter().for_each(|contact| group.introduce(contact));
                group
            }
            Boot::Recover(_) if config.storage == Storage::Volatile => return Err(ConfigError::VolatileRecovery),
            Boot::Recover(records) => {
                let found = recover(config.group, config.mode, me.node, &records)?;
                if found.life == me.incarnation {
                    return Err(ConfigError::Reused { incarnation: me.incarnation });
                }
                Self::recovered(config, me, rng, found)?
            }
        };
        if config_is_fast(&group.config) {
            group.rebuild_tip();
        }
        group.seat_peers();
        Ok(group)
    }

    fn assemble(
        config: Config,
        me: Actor<N>,
        seat: Actor<N>,
        rng: Rng,
        hard: HardState<N>,
        disk: Disk,
        state: State<N, M>,
    ) -> Self {
        let envelope = Envelope {
            group: config.group,
            mode: config.mode,
            me,
            seat,
            generation: hard.generation,
            max_frame: config.max_frame,
        };
        Self {
            envelope,
            rng,
            now: Duration::ZERO,
            start: Start::Waiting { recovered: false },
            office: Office::Follower,
            #[cfg(inos_bug)]
            normal_epoch: 0,
            hard,
            disk,
            log: Log::new(state.applied),
            commit: state.applied.sequence,
            state,
            tip: None,
            changes: VecDeque::new(),
            orphans: Orphans::new(),
            counter: 0,
            primary: None,
            heard_primary_at: None,
            election_at: Duration::ZERO,
            repeat_at: Duration::ZERO,
            verified: 0,
            round_seen: 0,
            fast_known: Vec::new(),
            fast_told: Vec::new(),
            scratch: Vec::new(),
            grace_until: Duration::ZERO,
            canvass_failed: false,
            stepped_aside: false,
            called_until: Duration::ZERO,
            quiet: false,
            peers: Vec::new(),
            words: BTreeMap::new(),
            introduced: VecDeque::new(),
            incoming: None,
            snapshot: None,
            snapshot_at: Duration::ZERO,
            lead: Lead::new(),
            parted: false,
            removed: None,
            copies_of: Lsn::default(),
            pending: VecDeque::new(),
            write_deadlines: VecDeque::new(),
            early: VecDeque::new(),
            doubts: Vec::new(),
            reads: VecDeque::new(),
            next_read: 0,
            events: VecDeque::new(),
            counters: Counters::default(),
            config,
        }
    }

    /// The configuration that rules: the last one in the log.
    #[must_use]
    pub fn configuration(&self) -> &Configuration<N> {
        self.changes.back().map_or(&self.state.configuration, |(_, configuration)| configuration)
    }

    /// Takes a frame that the transport received from the node `from`, whom the transport has authenticated.
    ///
    /// # Errors
    ///
    /// [`MessageError`]: the frame was refused, and says what may have changed all the same. Loss, duplication and
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
        self.forget_contacts();
        let known = self.introduced.contains(&from) || self.peers.iter().any(|peer| peer.seat.node == from);
        if !known {
            return Err(MessageError::NotMember { configuration: self.configuration().number });
        }
        let (header, to, message) = self.envelope.read(frame)?;
        let seat = Actor { node: from, incarnation: header.seat };
        let peer = self.peers.iter().position(|peer| peer.seat == seat);
        if to != self.envelope.seat {
            // Who stopped long ago, or was taken out, may know none of the present seats.
            match peer {
                Some(peer) if header.generation.number < self.hard.generation.number => self.owe_notice(peer),
                Some(peer) if header.generation == self.hard.generation => self.owe_notice_to_stranger(peer),
                _ => {}
            }
            return Err(MessageError::Misrouted);
        }
        if peer.is_none() && !self.introduced.contains(&from) {
            return Err(MessageError::NotMember { configuration: self.configuration().number });
        }
        if header.epoch > self.hard.epoch.saturating_add(MAX_EPOCH_JUMP) {
            return Err(MessageError::EpochJump { found: header.epoch, current: self.hard.epoch });
        }
        let restarted = peer.and_then(|peer| self.peers[peer].life).is_some_and(|known| known != header.life);
        if restarted && self.config.storage == Storage::Volatile {
            return Err(MessageError::Restarted { found: header.life });
        }
        let peer = match peer {
            Some(peer) => peer,
            None => self.seat_contact(seat),
        };
        self.check_generation(peer, &header, &message)?;
        self.dispatch(peer, header.epoch, message)?;
        self.peers[peer].life = Some(header.life);
        Ok(())
    }

    fn dispatch(&mut self, peer: usize, epoch: u64, message: Message<'_, N>) -> Result<(), MessageError> {
        match message {
            Message::PreVote { last, fast, priority } => self.on_pre_vote(peer, epoch, last, fast, priority),
            Message::PreVoteReply { asked, verdict, last, fast } => {
                self.on_pre_vote_reply(peer, epoch, asked, verdict, last, fast);
            }
            Message::Vote { last, fast, transfer } => self.on_vote(peer, epoch, last, fast, transfer),
            Message::VoteReply { verdict, last: _, fast } => self.on_vote_reply(peer, epoch, verdict, fast),
            Message::Append { .. } => self.on_append(peer, epoch, &message)?,
            Message::AppendReply { .. } => self.on_append_reply(peer, epoch, &message)?,
            Message::Part { .. } => self.on_part(peer, epoch, &message)?,
            Message::PartReply { what, id, have } => self.on_part_reply(peer, what, id, have),
            Message::Orphans { count, orphans } => self.on_orphans(peer, count, orphans)?,
            Message::OrphanAck { dots } => self.on_orphan_ack(&dots),
            Message::Notice { partings, configuration, primary } => {
                self.on_notice(peer, &partings, configuration, primary);
            }
            Message::Elect => self.on_elect(peer, epoch),
        }
        Ok(())
    }

    /// Does what is due. Calling it early, late or twice is harmless.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.advance(now);
        match self.office {
            Office::Follower if self.waits_for_primary() && self.now >= self.election_at => self.start_pre_vote(),
            Office::PreCandidate | Office::Candidate if self.now >= self.election_at => {
                self.canvass_failed = true;
                self.start_pre_vote();
            }
            Office::PreCandidate if self.now >= self.grace_until && self.has_pre_votes() => self.campaign(false),
            Office::PreCandidate | Office::Candidate if self.now >= self.repeat_at => self.repeat_requests(),
            Office::Primary => {
                self.resign_without_majority();
                if self.office == Office::Primary && self.now >= self.repeat_at && !self.is_silent() {
                    self.repeat_heartbeat();
                }
                self.expire_writes();
            }
            Office::Superseded | Office::Follower if self.hands_over() && self.now >= self.repeat_at => {
                self.repeat_handover();
            }
            Office::Follower if self.is_left_alone() && self.now >= self.election_at => self.report_to_all(),
            _ => {}
        }
        self.expire_doubts();
    }

    /// Storage holds the record of `token`, and all records before it, so that a crash cannot undo them.
    ///
    /// A record that storage failed to write leaves the member unable to keep its promises: drop the `Group` and
    /// recover from what storage holds.
    pub fn persisted(&mut self, now: Duration, token: PersistToken) {
        self.advance(now);
        let before = self.disk.durable_entry();
        self.disk.persisted(token);
        match self.office {
            Office::Candidate => self.count_votes(),
            Office::Primary => {
                self.try_commit();
                self.acknowledge_fast();
            }
            Office::Follower if self.disk.durable_entry() > before => self.owe_append_reply(),
            _ => {}
        }
    }

    /// The next record to store, written to `out` (which is cleared first), and its name. Store records in this
    /// order; each carries its own checksum, but not its length. Report them with [`persisted`](Self::persisted), one by
    /// one or by the last of several. A record that [`replaces_all`](PersistToken::replaces_all) makes the ones before it
    /// superfluous once it is durable. With [`Storage::Volatile`] always `None`.
    pub fn poll_persist(&mut self, out: &mut Vec<u8>) -> Option<PersistToken> {
        if self.config.storage == Storage::Volatile {
            return None;
        }
        let state = &self.state;
        let mut source = Source {
            group: self.config.group,
            mode: self.config.mode,
            seat: self.envelope.seat,
            life: self.envelope.me.incarnation,
            hard: &self.hard,
            log: &self.log,
            orphans: &mut self.orphans,
            applied: state.applied,
            state: &|out: &mut Vec<u8>| state.encode(out),
        };
        let token = self.disk.poll(&mut source, self.config.checkpoint_bytes, self.config.max_frame, out);
        if token.is_some() {
            self.trim_log();
        }
        token
    }

    /// The next frame to send, written to `out` (which is cleared first), and whom to send it to. Members with the
    /// shortest round trip come first. Frames may be lost: what matters is repeated.
    ///
    /// O(members + frame length).
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>) -> Option<N> {
        // No promise, request or answer may leave before the hard state behind it is stored.
        if !self.hard_is_ready() {
            return None;
        }
        let index = (0..self.peers.len())
            .filter(|&index| self.has_frame(index))
            .min_by_key(|&index| (self.peers[index].round_trip_us, self.peers[index].seat))?;
        self.write_frame(index, out);
        Some(self.peers[index].seat.node)
    }

    fn has_frame(&self, index: usize) -> bool {
        let peer = &self.peers[index];
        let owed = peer.owed_pre_vote.is_some() || peer.owed_vote.is_some() || peer.owed_append.is_some();
        let asks = peer.ask == Ask::Due && matches!(self.office, Office::PreCandidate | Office::Candidate);
        let orphan = peer.orphan.as_ref().is_some_and(|parcel| self.parcel_is_due(parcel));
        let tells = peer.owes_notice || peer.owes_question || peer.owes_elect || !peer.owed_acks.is_empty();
        owed || tells || peer.owed_part.is_some() || asks || peer.owes_orphans || orphan || self.has_append(peer)
    }

    fn write_frame(&mut self, index: usize, out: &mut Vec<u8>) {
        let (last, fast) = (self.log.last(), self.fast_greatest());
        let (round, keeps_orphans) = (self.round_seen, !self.orphans.is_empty());
        let agreed = if has(Bug::AckOfAnotherEpoch) { self.held() } else { self.verified.min(self.held()) };
        let peer = &mut self.peers[index];
        let message = if let Some((asked, verdict)) = peer.owed_pre_vote.take() {
            Message::PreVoteReply { asked, verdict, last, fast }
        } else if let Some(verdict) = peer.owed_vote.take() {
            Message::VoteReply { verdict, last, fast }
        } else if let Some(mismatch) = peer.owed_append.take() {
            Message::AppendReply { matched: agreed, round, keeps_orphans, mismatch }
        } else if let Some((what, id, have)) = peer.owed_part.take() {
            Message::PartReply { what, id, have }
        } else if core::mem::take(&mut peer.owes_notice) {
            Message::Notice {
                partings: self.state.partings().iter().copied().collect(),
                configuration: self.state.configuration.number,
                primary: self.primary,
            }
        } else if core::mem::take(&mut peer.owes_question) {
            return self.write_question(index, out);
        } else if core::mem::take(&mut peer.owes_elect) {
            Message::Elect
        } else if !peer.owed_acks.is_empty() {
            Message::OrphanAck { dots: core::mem::take(&mut peer.owed_acks) }
        } else if core::mem::take(&mut peer.owes_orphans) {
            return self.write_orphans(index, out);
        } else if let Some(parcel) = peer.orphan.filter(|parcel| self.parcel_is_due(parcel)) {
            self.peers[index].orphan = Some(self.write_part(index, parcel, out));
            return;
        } else if self.office == Office::Primary {
            return self.write_append(index, out);
        } else {
            return self.write_request(index, out);
        };
        let to = self.peers[index].seat;
        self.envelope.write(to, self.hard.epoch, self.configuration().number, &message, out);
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<EventOf<N, M>> {
        self.events.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), on the clock of `now`. `None` while the group is
    /// quiescent: the primary and all members have nothing to do, and the detector watches over them.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        if !matches!(self.start, Start::Running { .. }) {
            return Some(Duration::ZERO);
        }
        let own = match self.office {
            Office::Superseded | Office::Follower if self.hands_over() => Some(self.repeat_at),
            Office::Superseded => None,
            Office::Follower if !self.waits_for_primary() && !self.is_left_alone() => None,
            Office::Follower => Some(self.election_at),
            Office::PreCandidate if self.has_pre_votes() => Some(self.grace_until.min(self.election_at)),
            Office::PreCandidate | Office::Candidate => Some(self.election_at.min(self.repeat_at)),
            Office::Primary if self.is_silent() => None,
            Office::Primary => {
                let mut deadlines = self.write_deadlines.iter();
                let write =
                    deadlines.find(|&&(_, sequence)| self.is_pending(sequence) && !self.is_acknowledged(sequence));
                Some(write.map_or(self.repeat_at, |&(deadline, _)| deadline.min(self.repeat_at)))
            }
        };
        let doubt = self.doubts.iter().map(|doubt| doubt.until).min();
        match (own, doubt) {
            (Some(own), Some(doubt)) => Some(own.min(doubt)),
            (own, doubt) => own.or(doubt),
        }
    }

    /// What the member is at present.
    #[must_use]
    pub fn role(&self) -> Role {
        match self.office {
            Office::Superseded => Role::Superseded,
            Office::Primary => Role::Primary,
            Office::PreCandidate | Office::Candidate => Role::Candidate,
            Office::Follower if self.removed.is_none() && self.configuration().is_voter(self.envelope.seat) => {
                Role::Follower
            }
            Office::Follower => Role::Learner,
        }
    }

    /// The member's epoch.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.hard.epoch
    }

    /// The generation of the group that the member belongs to.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.hard.generation
    }

    /// The seat of the primary of this epoch, if known.
    #[must_use]
    pub const fn primary(&self) -> Option<Actor<N>> {
        self.primary
    }

    /// This member's place in the configuration: of incarnation 0 for a founder, of the life in which it joined for
    /// others, the same after each recovery.
    #[must_use]
    pub const fn seat(&self) -> Actor<N> {
        self.envelope.seat
    }

    /// The last entry of this member's log, committed or not.
    #[must_use]
    pub fn last(&self) -> Lsn {
        self.log.last()
    }

    /// The last entry that this member knows to be committed. It is applied.
    #[must_use]
    pub const fn committed(&self) -> Lsn {
        self.state.applied
    }

    /// Writes that fell out of this member's log and that no later primary has dealt with yet. While a
    /// [superseded](Role::Superseded) or [removed](Event::Removed) member has any, it should go on running: it hands them
    /// over. A superseded one that has not been told yet what the later generation lacks counts all entries of its log, and so
    /// does one that has met [two of one number](Event::GenerationConflict), until there is a later one.
    #[must_use]
    pub fn orphans(&self) -> usize {
        let unsettled = if self.is_unsettled() { self.log.last().sequence - self.log.base().sequence } else { 0 };
        self.orphans.len() + usize::try_from(unsettled + self.uncopied()).unwrap_or(usize::MAX / 2)
    }

    /// What happened in this life.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// The settings it was started with.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Hash of the committed state: members that have applied the same entries give the same.
    #[must_use]
    pub fn state_hash(&self) -> u64 {
        let mut bytes = Vec::new();
        self.state.encode(&mut bytes);
        xxh3_64(&bytes)
    }

    fn advance(&mut self, now: Duration) {
        let deadline = self.poll_timeout();
        self.now = self.now.max(now.min(LAST_TIME));
        let elect_min = self.config.elect_min;
        match self.start {
            Start::Running { .. } => {
                // Slept: what was true of the others then need not be true now.
                if self.office == Office::Primary
                    && deadline.is_some_and(|deadline| self.now > deadline + self.config.heartbeat)
                {
                    self.lead.lease_until = Duration::ZERO;
                    self.lead.fenced = self.lead.round;
                    self.open_round();
                }
            }
            Start::Waiting { recovered: false } => {
                self.start = Start::Running { no_votes_until: Duration::ZERO };
                self.election_at = self.now + self.rng.between(Duration::ZERO, elect_min / 2);
            }
            Start::Waiting { recovered: true } => {
                self.start = Start::Running { no_votes_until: self.now + elect_min };
                self.election_at = self.now + self.rng.between(elect_min, elect_min * 3 / 2);
            }
        }
    }

    fn hard_is_ready(&self) -> bool {
        self.config.storage == Storage::Volatile || self.disk.hard_is_durable() || has(Bug::VoteBeforeSync)
    }

    /// The last entry this member holds as its storage demands.
    fn held(&self) -> u64 {
        match self.config.storage {
            Storage::Durable if has(Bug::UnsyncedCopyCounts) => self.log.last().sequence,
            Storage::Durable => self.disk.durable_entry(),
            Storage::Volatile => self.log.last().sequence,
        }
    }

    /// Takes an office and tells of it, merged with the telling before when that was not yet polled.
    fn set_office(&mut self, office: Office, primary: Option<Actor<N>>) {
        self.office = office;
        self.primary = primary;
        let event = Event::Role { role: self.role(), epoch: self.hard.epoch, primary: self.primary };
        match self.events.back_mut() {
            Some(last @ Event::Role { .. }) => *last = event,
            _ => self.events.push_back(event),
        }
    }

    /// The longest delta that fits.
    fn max_delta_bytes(&self) -> usize {
        self.config.max_reassembly.saturating_sub(MAX_ENTRY_OVERHEAD)
    }
}

/// Bytes of a parcel with one entry besides the delta.
const MAX_ENTRY_OVERHEAD: usize = 16 + entry::ENTRY_HEADER + entry::Change::OVERHEAD;

fn config_is_fast(config: &Config) -> bool {
    config.mode == Mode::Fast
}

fn founding<N: Id>(founders: &[N]) -> Result<Configuration<N>, ConfigError> {
    let mut voters: Vec<_> = founders.iter().map(|&node| Actor { node, incarnation: 0 }).collect();
    voters.sort_unstable();
    voters.dedup();
    if voters.len() != founders.len() || !(1..=MAX_VOTERS).contains(&founders.len()) {
        return Err(ConfigError::Voters { given: founders.len(), distinct: voters.len() });
    }
    Ok(Configuration { number: 1, voters, outgoing: Vec::new(), learners: Vec::new() })
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
