//! Frames between members. `docs/protocol.md` gives the layout.

use alloc::vec::Vec;

use crate::{
    Actor, GroupId, Id, Lsn, MessageError,
    bytes::{CHECKSUM_BYTES, Put, Reader, Sealed, seal, unseal},
};

const MAGIC: [u8; 2] = *b"IQ";
const VERSION: u8 = 1;
const KIND_PRE_VOTE: u8 = 1;
const KIND_PRE_VOTE_REPLY: u8 = 2;
const KIND_VOTE: u8 = 3;
const KIND_VOTE_REPLY: u8 = 4;
const KIND_APPEND: u8 = 5;
const KIND_APPEND_REPLY: u8 = 6;

/// Bytes of an append frame besides its entries, at the longest id.
pub(crate) const APPEND_OVERHEAD: usize = 2 + 1 + 1 + 16 + 8 + 8 + 1 + 64 + (8 + 16 + 8 + 8 + 4) + CHECKSUM_BYTES;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Verdict {
    Granted,
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Mismatch {
    /// `prev` of the append that did not fit.
    pub(crate) prev: u64,
    /// Where the logs may still agree.
    pub(crate) hint: Lsn,
}

/// `epoch` is the sender's own, but in `PreVote`, where it is the one it would start.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Message<'a> {
    PreVote { epoch: u64, last: Lsn },
    PreVoteReply { epoch: u64, asked: u64, verdict: Verdict },
    Vote { epoch: u64, last: Lsn },
    VoteReply { epoch: u64, verdict: Verdict },
    Append { epoch: u64, prev: Lsn, commit: u64, round: u64, count: u32, entries: &'a [u8] },
    AppendReply { epoch: u64, matched: u64, round: u64, mismatch: Option<Mismatch> },
}

impl Message<'_> {
    pub(crate) const fn epoch(&self) -> u64 {
        match *self {
            Self::PreVote { epoch, .. }
            | Self::PreVoteReply { epoch, .. }
            | Self::Vote { epoch, .. }
            | Self::VoteReply { epoch, .. }
            | Self::Append { epoch, .. }
            | Self::AppendReply { epoch, .. } => epoch,
        }
    }
}

/// What every frame of one member begins with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Envelope<N> {
    pub(crate) group: GroupId,
    /// Hash of the sorted voters: members started with different lists must not talk to each other.
    pub(crate) voters_hash: u64,
    pub(crate) me: Actor<N>,
    pub(crate) max_frame: usize,
}

impl<N: Id> Envelope<N> {
    /// Writes one frame without entries into `out`.
    pub(crate) fn write(&self, to: N, message: &Message<'_>, out: &mut Vec<u8>) {
        self.open(to, message, out);
        seal(out);
    }

    /// Writes all but the checksum.
    pub(crate) fn open(&self, to: N, message: &Message<'_>, out: &mut Vec<u8>) {
        out.clear();
        out.put(&MAGIC);
        out.put(&[VERSION, kind(message)]);
        out.put(&self.group.0.to_le_bytes());
        out.put(&self.voters_hash.to_le_bytes());
        out.put(&self.me.incarnation.to_le_bytes());
        out.put_id(&to);
        out.put(&message.epoch().to_le_bytes());
        match *message {
            Message::PreVote { last, .. } | Message::Vote { last, .. } => put_lsn(out, last),
            Message::PreVoteReply { asked, verdict, .. } => {
                out.put(&asked.to_le_bytes());
                out.push(u8::from(verdict == Verdict::Granted));
            }
            Message::VoteReply { verdict, .. } => out.push(u8::from(verdict == Verdict::Granted)),
            Message::Append { prev, commit, round, count, entries, .. } => {
                put_lsn(out, prev);
                out.put(&commit.to_le_bytes());
                out.put(&round.to_le_bytes());
                out.put(&count.to_le_bytes());
                out.put(entries);
            }
            Message::AppendReply { matched, round, mismatch, .. } => {
                out.put(&matched.to_le_bytes());
                out.put(&round.to_le_bytes());
                out.push(u8::from(mismatch.is_some()));
                if let Some(Mismatch { prev, hint }) = mismatch {
                    out.put(&prev.to_le_bytes());
                    put_lsn(out, hint);
                }
            }
        }
    }

    /// Reads one frame; returns the sender's incarnation with it.
    pub(crate) fn read<'a>(&self, frame: &'a [u8]) -> Result<(u64, Message<'a>), MessageError> {
        if frame.len() > self.max_frame {
            return Err(MessageError::TooLong { len: frame.len(), max: self.max_frame });
        }
        let (body, sealed) = unseal(frame).ok_or(MessageError::Malformed)?;
        let mut reader = Reader(body);
        if reader.take(2).ok_or(MessageError::Malformed)? != MAGIC {
            return Err(MessageError::Malformed);
        }
        let version = reader.u8().ok_or(MessageError::Malformed)?;
        if version != VERSION {
            return Err(MessageError::Version { found: version });
        }
        if sealed == Sealed::Damaged {
            return Err(MessageError::Checksum);
        }
        let kind = reader.u8().ok_or(MessageError::Malformed)?;
        let group = GroupId(reader.u128().ok_or(MessageError::Malformed)?);
        if group != self.group {
            return Err(MessageError::ForeignGroup { found: group });
        }
        if reader.u64().ok_or(MessageError::Malformed)? != self.voters_hash {
            return Err(MessageError::OtherVoters);
        }
        let incarnation = reader.u64().ok_or(MessageError::Malformed)?;
        let to = reader.id_bytes().and_then(N::read_id).ok_or(MessageError::Malformed)?;
        if to != self.me.node {
            return Err(MessageError::Misrouted);
        }
        let message = read_message(kind, reader).ok_or(MessageError::Malformed)?;
        Ok((incarnation, message))
    }
}

fn read_message(kind: u8, mut from: Reader<'_>) -> Option<Message<'_>> {
    let epoch = from.u64()?;
    let message = match kind {
        KIND_PRE_VOTE => Message::PreVote { epoch, last: read_lsn(&mut from)? },
        KIND_PRE_VOTE_REPLY => Message::PreVoteReply { epoch, asked: from.u64()?, verdict: read_verdict(&mut from)? },
        KIND_VOTE => Message::Vote { epoch, last: read_lsn(&mut from)? },
        KIND_VOTE_REPLY => Message::VoteReply { epoch, verdict: read_verdict(&mut from)? },
        KIND_APPEND => {
            let prev = read_lsn(&mut from)?;
            let (commit, round, count) = (from.u64()?, from.u64()?, from.u32()?);
            let entries = from.take(from.0.len())?;
            Message::Append { epoch, prev, commit, round, count, entries }
        }
        KIND_APPEND_REPLY => {
            let (matched, round) = (from.u64()?, from.u64()?);
            let mismatch = match from.u8()? {
                0 => None,
                1 => Some(Mismatch { prev: from.u64()?, hint: read_lsn(&mut from)? }),
                _ => return None,
            };
            Message::AppendReply { epoch, matched, round, mismatch }
        }
        _ => return None,
    };
    from.end()?;
    Some(message)
}

const fn kind(message: &Message<'_>) -> u8 {
    match message {
        Message::PreVote { .. } => KIND_PRE_VOTE,
        Message::PreVoteReply { .. } => KIND_PRE_VOTE_REPLY,
        Message::Vote { .. } => KIND_VOTE,
        Message::VoteReply { .. } => KIND_VOTE_REPLY,
        Message::Append { .. } => KIND_APPEND,
        Message::AppendReply { .. } => KIND_APPEND_REPLY,
    }
}

fn read_verdict(from: &mut Reader<'_>) -> Option<Verdict> {
    match from.u8()? {
        0 => Some(Verdict::Refused),
        1 => Some(Verdict::Granted),
        _ => None,
    }
}

fn put_lsn(out: &mut Vec<u8>, lsn: Lsn) {
    out.put(&lsn.epoch.to_le_bytes());
    out.put(&lsn.sequence.to_le_bytes());
}

fn read_lsn(from: &mut Reader<'_>) -> Option<Lsn> {
    Some(Lsn { epoch: from.u64()?, sequence: from.u64()? })
}
