//! What a group tells its integrator, and what it refuses.

use thiserror::Error;

use crate::{GroupId, Lsn, Machine, OpId};

/// How far a write has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// `write_timeout` passed and no majority holds it yet. Not an acknowledgement: it may still be committed or lost.
    LocalOnly,
    /// A majority holds it and it was applied here. Final.
    Committed,
    /// This member ceased to be primary before it learned the outcome. Final; retry with the same id at the new
    /// primary to learn it.
    Unknown,
}

/// What a member is at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// Follows a primary, or waits for one.
    Follower,
    /// Asks for votes.
    Candidate,
    /// Orders the writes of its epoch.
    Primary,
}

/// Names one `read_index` of this life of the member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadId(pub(crate) u64);

/// Names a record handed out for storage, in the order of the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PersistToken(pub(crate) u64);

/// How strong a [`read`](crate::Group::read) is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Read {
    /// What this member has applied. It may lag behind by any amount.
    Local,
}

/// Something the integrator should know.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event<N, O> {
    /// News of a write made at this member. Each write accepted gets at most one `LocalOnly`, then exactly one final
    /// stage; a repeat of a write committed before gets its original receipt again.
    Receipt {
        /// The write.
        id: OpId,
        /// How far it has come.
        stage: Stage,
        /// Its place, as [`write`](crate::Group::write) returned it.
        lsn: Lsn,
        /// What the machine answered: present exactly at [`Stage::Committed`].
        output: Option<O>,
    },
    /// [`read`](crate::Group::read) now shows at least everything that was acknowledged to anyone before the
    /// `read_index` of this id.
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
        /// Who is primary of this epoch, if known.
        primary: Option<N>,
    },
}

/// The event type of a machine.
pub type EventOf<N, M> = Event<N, <M as Machine>::Output>;

/// A limit that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// `max_log_entries`: permanent for this group.
    LogEntries,
    /// `max_log_bytes`: permanent for this group.
    LogBytes,
    /// `max_uncommitted`: try again after a receipt.
    Uncommitted,
    /// `max_clients`: permanent for this client.
    Clients,
    /// `max_reads`: try again after a `ReadReady`.
    Reads,
    /// `max_events`: drain the events first.
    Events,
}

/// The write was not taken; nothing changed, and the delta comes back.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WriteError<N, D> {
    /// The caller: this member is not primary.
    #[error("not the primary")]
    NotPrimary {
        /// Who is, if known.
        hint: Option<N>,
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
    /// The caller: at least 64 greater serials of this client are known, so whether this one was applied is
    /// forgotten.
    #[error("serial {serial} is below the window of its client")]
    TooOld {
        /// As given.
        serial: u64,
        /// The delta.
        delta: D,
    },
    /// The caller: the encoded delta does not fit a frame.
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
        /// Who is, if known.
        hint: Option<N>,
    },
    /// The load: a limit of the configuration is reached.
    #[error("limit reached: {limit:?}")]
    Full {
        /// Which one.
        limit: Limit,
    },
}

/// The frame was refused; nothing changed but [`Counters::refused`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MessageError {
    /// The sender is not another voter of this group.
    #[error("the sender is not another voter")]
    NotMember,
    /// The frame exceeds `max_frame`, or a delta in it the part of `max_frame` that is for deltas: the sender is
    /// configured differently, or hostile.
    #[error("a frame or delta of {len} bytes exceeds {max}")]
    TooLong {
        /// Length of the frame or delta in bytes.
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
    /// The sender was started with another list of voters: an error of whoever set up the group.
    #[error("the sender was started with other voters")]
    OtherVoters,
    /// The frame was meant for another member: an error of the transport.
    #[error("the frame was meant for another member")]
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
}
