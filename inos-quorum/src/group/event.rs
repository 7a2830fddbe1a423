//! What a group tells its integrator, and what it refuses.

use alloc::vec::Vec;
use core::time::Duration;

use thiserror::Error;

use crate::{Actor, Configuration, GroupId, Lsn, Machine, Mode, NodeClass, OpId, VectorClock};

/// How far a write has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// `write_timeout` passed and no quorum holds it yet. Not an acknowledgement: it may still be `Fast`, committed or
    /// lost.
    LocalOnly,
    /// [`Mode::Fast`](crate::Mode::Fast): this primary and another replica hold it, as storage demands. It may still be
    /// lost if both fail, or if neither takes part in the election of the next primary; then [`Event::Loss`],
    /// [`Event::Orphaned`] or [`ReceiptState::Lost`] tells.
    Fast {
        /// What that replica is.
        by: NodeClass,
    },
    /// The write quorum holds it and it was applied here. Final.
    Committed,
    /// This member ceased to be primary and did not learn the outcome within 5 s. Final; retry with the same id at the
    /// new primary to learn it.
    Unknown,
}

/// What a member is at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// A voter that follows a primary, or waits for one.
    Follower,
    /// A voter that asks for votes.
    Candidate,
    /// Orders the writes of its epoch.
    Primary,
    /// No voter: it gets everything and decides nothing.
    Learner,
    /// A later generation exists, or another one of the same number: it acknowledges nothing any more, hands over what
    /// it has, and can only be started anew with [`Boot::Join`](crate::Boot::Join).
    Superseded,
}

/// Names one `read_index` of this life of the member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadId(pub(crate) u64);

/// Names a record handed out for storage, in the order of the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersistToken {
    pub(crate) ordinal: u64,
    pub(crate) replaces_all: bool,
}

impl PersistToken {
    /// Whether the record is a checkpoint: once it is durable, all records before it may be dropped.
    #[must_use]
    pub const fn replaces_all(&self) -> bool {
        self.replaces_all
    }
}

/// What a client has seen at one member: a token for [`Read::Session`] at others.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Session<N> {
    /// The writes that were visible.
    pub clock: VectorClock<N>,
    /// The last entry that was visible.
    pub lsn: Lsn,
}

/// How strong a [`read`](crate::Group::read) is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Read<'a, N> {
    /// What this member has applied; in [`Mode::Fast`](crate::Mode::Fast) also what is not committed. It may lag behind
    /// by any amount. Never fails.
    Local,
    /// What this member knows to be committed. After [`Event::ReadReady`] it is linearizable. Never fails.
    Committed,
    /// As `Local`, and no less than the session has seen.
    Session(&'a Session<N>),
}

/// What became of a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReceiptState {
    /// The entry is in the committed history.
    Held,
    /// The committed history has another entry there, or goes on without it. The write may come back as an orphan.
    Lost,
    /// This member does not know (yet, or any more: the last 1,024 epochs are remembered).
    Unknown,
}

/// What became of a write that fell out of the history and was handed to a later primary.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Resolution<O> {
    /// The history has it already: it was repeated by its client, or handed over before.
    Contained,
    /// The writer of a committed write had read it: that write supersedes it. It is not in the history, and will not
    /// be: repeats of it get [`WriteError::Discarded`].
    Older,
    /// The machine has taken it in now.
    Merged(O),
    /// The machine, or its policy, has refused it, now or when another copy of it came. It is not in the history, and
    /// will not be: repeats of it get [`WriteError::Discarded`].
    Refused,
    /// Its client may have repeated it, and whether it is in the history is not known any more: 64 later writes of the
    /// client are known, or the client was expired, or the range of its dot was given up. It is not taken in. Look
    /// before deciding anew.
    Forgotten,
}

impl<O> Resolution<O> {
    /// Whether it was not taken in.
    pub(crate) const fn is_out(&self) -> bool {
        matches!(self, Self::Older | Self::Refused | Self::Forgotten)
    }
}

/// Acknowledgements of `Fast` that the history does not honour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LossReport {
    /// The epoch of the entries.
    pub epoch: u64,
    /// The first entry that is missing.
    pub from: u64,
    /// The last one known to have been acknowledged. A lower bound: more may have been. Less than `from` when nothing
    /// is known: after [`force_new_group`](crate::Group::force_new_group).
    pub known_to: u64,
}

/// Whether a configuration is final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Committed {
    /// It is.
    Yes,
    /// It rules already, and may be taken back by another primary.
    No,
}

/// Something the integrator should know.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event<N, O> {
    /// News of a write made at this member. Each write accepted gets at most one `LocalOnly`, then at most one `Fast`,
    /// and ends in exactly one of `Committed`, [`Orphaned`](Self::Orphaned) and `Unknown`; a repeat of a write committed
    /// before gets its original receipt again.
    Receipt {
        /// The write.
        id: OpId,
        /// How far it has come.
        stage: Stage,
        /// Its place, as [`write`](crate::Group::write) returned it. When the history had the write from elsewhere, as a
        /// repeat or as a merged orphan, the place where it was applied: that of the first copy, or of the entry which
        /// brought the orphan.
        lsn: Lsn,
        /// What the machine answered: present at [`Stage::Fast`] and [`Stage::Committed`].
        output: Option<O>,
    },
    /// A write made at this member fell out of the history, and a later primary has dealt with it; or it repeats one
    /// that was refused so. Final.
    Orphaned {
        /// The write.
        id: OpId,
        /// Where it stood.
        lsn: Lsn,
        /// What became of it.
        resolution: Resolution<O>,
    },
    /// On every member: a write that fell out of the history was not taken in again. It is not in the history, unless
    /// its client had repeated it and the group has forgotten so: see [`Resolution::Forgotten`].
    Discarded {
        /// The write.
        id: OpId,
        /// Where it stood.
        lsn: Lsn,
    },
    /// More orphans than `max_orphans` or `max_reassembly` allow: the oldest are lost. After a recovery those are
    /// counted that its records hold beyond these limits, some of which may have been dealt with or told before.
    OrphansDropped {
        /// How many.
        count: u64,
    },
    /// Acknowledged writes are not in the history.
    Loss(LossReport),
    /// [`Read::Committed`] now shows at least everything that was committed before the `read_index` of this id.
    ReadReady {
        /// The read.
        id: ReadId,
        /// What is applied at this moment.
        lsn: Lsn,
    },
    /// The read was abandoned because this member ceased to be primary. Ask the new one.
    ReadLost {
        /// The read.
        id: ReadId,
    },
    /// The member's role, epoch, or knowledge of the primary changed. Changes not yet polled are merged into one.
    Role {
        /// The role now.
        role: Role,
        /// The epoch now.
        epoch: u64,
        /// Who is primary of this epoch, if known: its seat.
        primary: Option<Actor<N>>,
    },
    /// Another configuration rules.
    Membership {
        /// The configuration.
        configuration: Configuration<N>,
        /// Whether it is final.
        committed: Committed,
    },
    /// At the primary: a member needs a snapshot, and that of the state exceeds `max_reassembly`. The member stays behind
    /// until the state is smaller: while it changes, that is seen to once in `unreachable`. Told each time.
    StateTooLong {
        /// Length of the snapshot in bytes.
        len: usize,
        /// Its limit.
        max: usize,
    },
    /// At the primary: start further members and add them as learners.
    NeedReplica {
        /// How many voters and learners that were heard within `unreachable`, or added since, there are fewer than
        /// `recruit_below`.
        missing: usize,
        /// Voters that are unreachable: the next caught-up learner takes the place of one.
        replaceable: Vec<Actor<N>>,
    },
    /// This member was taken out of the group by a configuration that is committed elsewhere. It stands no more, hands
    /// over what may be missing there, and may be stopped once [`orphans`](crate::Group::orphans) is zero. A primary that
    /// adds it again ends that.
    Removed {
        /// The number of a configuration without it.
        configuration: u64,
    },
    /// Two generations of one number were made by force: this member stops, as those of the other do, or had been stopped
    /// by one of them and has met the other. [`force_new_group`](crate::Group::force_new_group) at a member that has not
    /// met both makes a later one, to which the others hand over. Told again after a recovery.
    GenerationConflict {
        /// The number.
        generation: u64,
    },
    /// A later generation was made by force: this member stops. Told again after a recovery.
    Superseded {
        /// Its number.
        generation: u64,
    },
}

/// The event type of a machine.
pub type EventOf<N, M> = Event<N, <M as Machine>::Output>;

/// A limit that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// `max_uncommitted`: try again after a receipt.
    Uncommitted,
    /// `max_clients`: until a client is [expired](crate::Group::expire_client).
    Clients,
    /// `max_reads`: try again after a `ReadReady`.
    Reads,
    /// `max_events`: drain the events first.
    Events,
    /// [`MAX_LEARNERS`](crate::MAX_LEARNERS).
    Learners,
}

/// The write was not taken; nothing changed, and the delta comes back.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WriteError<N, D> {
    /// The caller: this member is not primary.
    #[error("not the primary")]
    NotPrimary {
        /// The seat of who is, if known.
        hint: Option<Actor<N>>,
        /// The delta.
        delta: D,
    },
    /// The load: a limit of the configuration is reached.
    #[error("limit reached: {limit:?}")]
    Full {
        /// Which one.
        limit: Limit,
        /// The delta.
        delta: D,
    },
    /// The caller: at least 64 greater serials of this client are known, or the client was
    /// [expired](crate::Group::expire_client) when this or a greater one was, so whether this one was applied is
    /// forgotten.
    #[error("serial {serial} is below the window of its client")]
    TooOld {
        /// As given.
        serial: u64,
        /// The delta.
        delta: D,
    },
    /// Nobody: a write of this id fell out of the history and was not taken in again. It is not in the history, and
    /// will not be. Decide anew, with a new id.
    #[error("the write was discarded where it stood, at {lsn:?}")]
    Discarded {
        /// Where it stood.
        lsn: Lsn,
        /// The delta.
        delta: D,
    },
    /// The caller: the encoded delta, with its context, does not fit `max_reassembly`.
    #[error("a delta of {len} bytes exceeds {max}")]
    TooLarge {
        /// Encoded length in bytes.
        len: usize,
        /// The greatest length that fits.
        max: usize,
        /// The delta.
        delta: D,
    },
}

/// The read was not taken; nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ReadError<N> {
    /// The caller: this member is not primary.
    #[error("not the primary")]
    NotPrimary {
        /// The seat of who is, if known.
        hint: Option<Actor<N>>,
    },
    /// The load: a limit of the configuration is reached.
    #[error("limit reached: {limit:?}")]
    Full {
        /// Which one.
        limit: Limit,
    },
    /// [`Read::Session`]: this member has not caught up with the session yet. Ask again, or another member.
    #[error("this member has only applied up to {lsn:?}")]
    Behind {
        /// What is applied.
        lsn: Lsn,
    },
    /// [`Read::Session`]: what the session has seen is not part of the history. Begin a new session.
    #[error("the session has seen {lsn:?}, which is not in the history")]
    SessionBroken {
        /// The last entry that the session has seen.
        lsn: Lsn,
    },
}

/// The command was not taken; nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// The caller: this member is not primary.
    #[error("not the primary")]
    NotPrimary,
    /// The time: another change is under way, the epoch has just begun, or the member has not caught up. Try again.
    #[error("another change is under way")]
    Busy,
    /// The caller: it is not the kind of member, or not a client, that the command is for.
    #[error("not a member of that kind")]
    NotMember,
    /// The caller: it is a member already.
    #[error("already a member")]
    AlreadyMember,
    /// The caller: the voters that would be left, or those of them that were heard within `elect_min`, are too few for
    /// the quorums of the mode. Replace the silent ones first.
    #[error("too few sound voters would be left")]
    Quorum,
    /// The caller: nobody but this member has a seat at its node, and none but founders one of incarnation 0.
    #[error("no such seat can be added")]
    Seat,
    /// The caller: more than [`MAX_VOTERS`](crate::MAX_VOTERS) voters.
    #[error("too many")]
    TooMany,
    /// The load: a limit is reached.
    #[error("limit reached: {limit:?}")]
    Full {
        /// Which one.
        limit: Limit,
    },
    /// The time or the caller: the actor lives, is unknown, or some member has not applied what it wrote.
    #[error("the actor cannot be retired")]
    NotRetirable,
    /// The caller: this life was [retired](crate::Group::retire), so what it would write counts for nothing once it is
    /// an orphan. Start it anew.
    #[error("this life is retired")]
    Retired,
    /// A later generation of the group exists.
    #[error("this member is superseded")]
    Superseded,
}

/// The frame was refused; nothing changed but the time and [`Counters::refused`], with four exceptions: a frame of
/// another generation is heeded as far as [`Superseded`](Self::Superseded) says; the parts of a parcel are forgotten when
/// the last one shows that its content has to be refused; a misrouted frame of an older generation is answered with what
/// there is to know of the later one; a sender that was introduced has its place among the contacts, whatever it sends in
/// the form of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MessageError {
    /// The sender is unknown here. If the integrator's directory says that it belongs to the group, it may
    /// [`introduce`](crate::Group::introduce) it.
    #[error("the sender is no member of configuration {configuration}")]
    NotMember {
        /// The number of the configuration that rules here.
        configuration: u64,
    },
    /// The frame exceeds `max_frame`, or a parcel or delta `max_reassembly`: the sender is
    /// configured differently, or hostile.
    #[error("a frame, parcel or delta of {len} bytes exceeds {max}")]
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// Its limit.
        max: usize,
    },
    /// The bytes do not have the form of a frame.
    #[error("malformed frame")]
    Malformed,
    /// The sender speaks another version of the protocol.
    #[error("protocol version {found} is not spoken here")]
    Version {
        /// The version of the frame.
        found: u8,
    },
    /// The frame was damaged on its way.
    #[error("checksum mismatch")]
    Checksum,
    /// The frame belongs to another group.
    #[error("frame of group {found:?}")]
    ForeignGroup {
        /// The group of the frame.
        found: GroupId,
    },
    /// The sender was started with another [`Mode`](crate::Config::mode): their quorums need not meet.
    #[error("frame of a member that works in mode {found:?}")]
    OtherMode {
        /// The mode of the sender.
        found: Mode,
    },
    /// The frame was meant for another seat: of another node, or of one before this node lost its memory.
    #[error("the frame was meant for another seat")]
    Misrouted,
    /// The epoch is more than 2^32 ahead: no run of the protocol gets there.
    #[error("epoch {found} is more than 2^32 ahead of {current}")]
    EpochJump {
        /// The epoch of the frame.
        found: u64,
        /// The member's epoch.
        current: u64,
    },
    /// With volatile storage: the sender was restarted and has forgotten its votes.
    #[error("the sender restarted as incarnation {found} without its memory")]
    Restarted {
        /// Its incarnation now.
        found: u64,
    },
    /// A delta of the frame is not one of this machine: the sender runs another version of it.
    #[error("the delta of entry {sequence} cannot be decoded")]
    Undecodable {
        /// The entry.
        sequence: u64,
    },
    /// The frame is of an older generation, or this member is. Of its content nothing was heard. That there is a later
    /// generation, or another one of the same number, is taken note of, and stored: this member then is
    /// [`Role::Superseded`]. A member of the later one tells a sender of an older one what it is.
    #[error("superseded by generation {generation}")]
    Superseded {
        /// The later one.
        generation: u64,
    },
    /// The frame contradicts what is committed or what this primary sent before, or claims a second primary in one
    /// epoch: a member broke the protocol or lost its storage.
    #[error("the frame contradicts entry {sequence}")]
    Contradiction {
        /// The entry concerned, or 0 for the claim to be primary.
        sequence: u64,
    },
}

/// What happened at this member in this life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Counters {
    /// Frames accepted.
    pub accepted: u64,
    /// Frames refused with a [`MessageError`].
    pub refused: u64,
    /// Elections this member stood in.
    pub elections: u64,
    /// Pre-votes this member refused.
    pub refused_pre_votes: u64,
    /// Snapshots taken for stragglers.
    pub snapshots_sent: u64,
    /// Snapshots put in place of this member's state.
    pub snapshots_installed: u64,
    /// Acknowledgements that were not given as `Fast` because of `exposure` or `exposure_writes`.
    pub fast_withheld: u64,
    /// Writes kept when they fell out of the log.
    pub orphans_kept: u64,
}

/// How far a member has come, as far as its primary knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Progress {
    /// The last entry that it is known to hold.
    pub matched: u64,
    /// When it last answered, or became a member.
    pub heard_at: Duration,
    /// It gets entries as they are written, and is few behind: a learner may [replace](crate::Group::replace) a voter.
    pub has_caught_up: bool,
}

/// What a simulator looks at.
#[cfg(feature = "sim")]
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Inspect<'a, N> {
    /// The member's epoch.
    pub epoch: u64,
    /// The seat it voted for in this epoch.
    pub voted_for: Option<Actor<N>>,
    /// The last entry it knows to be committed.
    pub commit: u64,
    /// The last entry applied to the committed state.
    pub applied: u64,
    /// The last entry held as storage demands.
    pub held: Lsn,
    /// The first entry in memory.
    pub log_first: u64,
    /// As primary: until when it answers reads by itself.
    pub lease_until: Option<Duration>,
    /// Until when it votes for nobody, as far as time decides; `None` while it does not know the time.
    pub loyal_until: Option<Duration>,
    /// As primary in `Fast`: the last entry acknowledged.
    pub fast_high: u64,
    /// Writes kept that fell out of the log.
    pub orphans: usize,
    /// Configurations in the log that it does not know to be committed.
    pub changes: usize,
    pub(crate) log: &'a crate::group::Log<N>,
}

#[cfg(feature = "sim")]
impl<N: crate::Id> Inspect<'_, N> {
    /// The epoch of an entry in memory, or of the one before.
    #[must_use]
    pub fn epoch_at(&self, sequence: u64) -> Option<u64> {
        self.log.epoch_at(sequence)
    }

    /// The write that an entry in memory brings, as an orphan or not.
    #[must_use]
    pub fn write_at(&self, sequence: u64) -> Option<OpId> {
        self.log.body(sequence)?.change().map(|change| change.op)
    }

    /// Whether an entry in memory brings a write that had fallen out of a log.
    #[must_use]
    pub fn is_orphan_at(&self, sequence: u64) -> bool {
        self.log.entry(sequence).is_some_and(|entry| entry.kind == super::entry::ORPHAN)
    }

    /// Hash of the bytes of an entry in memory.
    #[must_use]
    pub fn entry_hash(&self, sequence: u64) -> Option<u64> {
        self.log.entry(sequence).map(|entry| xxhash_rust::xxh3::xxh3_64(entry.bytes))
    }
}
