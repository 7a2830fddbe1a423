//! Frames between members. `docs/protocol.md` gives the layout.

use alloc::vec::Vec;

use super::{
    log::MIN_ENTRY,
    membership::{Generation, MAX_PARTINGS, Parting, put_partings, read_partings},
};
use crate::{
    Actor, Dot, GroupId, Id, Lsn, MessageError, Mode,
    bytes::{CHECKSUM_BYTES, Put, Reader, Sealed, seal, unseal},
};

const MAGIC: [u8; 2] = *b"IQ";
const VERSION: u8 = 4;
const PRE_VOTE: u8 = 1;
const PRE_VOTE_REPLY: u8 = 2;
const VOTE: u8 = 3;
const VOTE_REPLY: u8 = 4;
const APPEND: u8 = 5;
const APPEND_REPLY: u8 = 6;
const PART: u8 = 7;
const PART_REPLY: u8 = 8;
const ORPHANS: u8 = 9;
const ORPHAN_ACK: u8 = 10;
const NOTICE: u8 = 11;
const ELECT: u8 = 12;

/// Dots of one acknowledgement.
pub(crate) const MAX_ACKS: usize = 8;
/// Where in a frame the generation stands.
pub(crate) const GENERATION_AT: usize = 2 + 1 + 1 + 16 + 2;
/// Bytes around any body, at the longest id.
const ENVELOPE: usize = GENERATION_AT + 16 + 8 + 8 + 8 + (1 + 64 + 8) + 8 + CHECKSUM_BYTES;
/// Bytes of an append frame besides its entries, at the longest id.
pub(crate) const APPEND_OVERHEAD: usize = ENVELOPE + 16 + 8 + 8 + 8 + 1 + 4;
/// Bytes of a part besides the part.
pub(crate) const PART_OVERHEAD: usize = ENVELOPE + 1 + 16 + 8 + 8;
/// Bytes of a frame of orphans besides these and their lengths.
pub(crate) const ORPHANS_OVERHEAD: usize = ENVELOPE + 4;
const _: () = assert!(ENVELOPE + 4 + MAX_ACKS * (1 + 64 + 8 + 8) <= 1024, "every frame fits the least max_frame");
const _: () = assert!(
    ENVELOPE + 4 + MAX_PARTINGS * (16 + 16) + 8 + 1 + (1 + 64 + 8) <= 1024,
    "every frame fits the least max_frame"
);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Verdict {
    Granted,
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Mismatch {
    /// `prev` of the append that did not fit, and where the logs may still agree.
    Prev { prev: u64, hint: Lsn },
    /// The member holds nothing: it needs a snapshot.
    Blank,
}

/// What travels in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum What {
    Snapshot,
    Entry,
    Orphan,
}

/// What precedes every body. `epoch` is the sender's own, but in a pre-vote, where it is the one it would start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) generation: Generation,
    /// Incarnation of the sender's seat.
    pub(crate) seat: u64,
    /// Incarnation of the sender's life.
    pub(crate) life: u64,
    pub(crate) epoch: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Message<'a, N> {
    PreVote {
        last: Lsn,
        fast: Lsn,
        priority: u8,
    },
    PreVoteReply {
        asked: u64,
        verdict: Verdict,
        last: Lsn,
        fast: Lsn,
    },
    Vote {
        last: Lsn,
        fast: Lsn,
        transfer: bool,
    },
    VoteReply {
        verdict: Verdict,
        last: Lsn,
        fast: Lsn,
    },
    Append {
        prev: Lsn,
        commit: u64,
        round: u64,
        fast: u64,
        quiet: bool,
        count: u32,
        entries: &'a [u8],
    },
    AppendReply {
        matched: u64,
        round: u64,
        /// It has orphans to hand over: the primary must not fall silent.
        keeps_orphans: bool,
        mismatch: Option<Mismatch>,
    },
    Part {
        what: What,
        id: Lsn,
        total: u64,
        offset: u64,
        bytes: &'a [u8],
    },
    PartReply {
        what: What,
        id: Lsn,
        have: u64,
    },
    /// `count` times a length of four bytes and the payload of an orphan entry.
    Orphans {
        count: u32,
        orphans: &'a [u8],
    },
    OrphanAck {
        dots: Vec<Dot<N>>,
    },
    /// To who is of an older generation, or was taken out of the group.
    Notice {
        /// Where the sender's history left that of an older generation, ascending.
        partings: Vec<Parting>,
        /// Of its committed configuration.
        configuration: u64,
        /// Who takes what the receiver hands over.
        primary: Option<Actor<N>>,
    },
    /// Stand, without asking first.
    Elect,
}

/// What every frame of one member begins with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Envelope<N> {
    pub(crate) group: GroupId,
    pub(crate) mode: Mode,
    /// This life.
    pub(crate) me: Actor<N>,
    pub(crate) seat: Actor<N>,
    pub(crate) generation: Generation,
    pub(crate) max_frame: usize,
}

impl<N: Id> Envelope<N> {
    /// Writes one frame into `out`, which is cleared first.
    pub(crate) fn write(
        &self,
        to: Actor<N>,
        epoch: u64,
        configuration: u64,
        message: &Message<'_, N>,
        out: &mut Vec<u8>,
    ) {
        self.open(to, epoch, configuration, message, out);
        seal(out);
    }

    /// Writes all but the checksum: entries, a part or orphans may be put behind.
    pub(crate) fn open(
        &self,
        to: Actor<N>,
        epoch: u64,
        configuration: u64,
        message: &Message<'_, N>,
        out: &mut Vec<u8>,
    ) {
        out.clear();
        out.put(&MAGIC);
        out.put(&[VERSION, message.kind()]);
        out.put(&self.group.0.to_le_bytes());
        put_mode(out, self.mode);
        out.put_u64(self.generation.number);
        out.put_u64(self.generation.nonce);
        out.put_u64(configuration);
        out.put_u64(self.seat.incarnation);
        out.put_u64(self.me.incarnation);
        out.put_actor(&to);
        out.put_u64(epoch);
        message.write(out);
    }

    /// What a frame of this group says, and the seat it is meant for.
    pub(crate) fn read<'a>(&self, frame: &'a [u8]) -> Result<(Header, Actor<N>, Message<'a, N>), MessageError> {
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
        let mode = read_mode(&mut reader).ok_or(MessageError::Malformed)?;
        if mode != self.mode {
            return Err(MessageError::OtherMode { found: mode });
        }
        let (header, to) = read_header(&mut reader).ok_or(MessageError::Malformed)?;
        let message = Message::read(kind, reader).ok_or(MessageError::Malformed)?;
        Ok((header, to, message))
    }
}

fn read_header<N: Id>(from: &mut Reader<'_>) -> Option<(Header, Actor<N>)> {
    let generation = Generation { number: from.u64()?, nonce: from.u64()? };
    // Of the configuration the number alone travels, for whoever reads a capture.
    from.u64()?;
    let (seat, life) = (from.u64()?, from.u64()?);
    let to = from.actor()?;
    Some((Header { generation, seat, life, epoch: from.u64()? }, to))
}

impl<'a, N: Id> Message<'a, N> {
    const fn kind(&self) -> u8 {
        match self {
            Self::PreVote { .. } => PRE_VOTE,
            Self::PreVoteReply { .. } => PRE_VOTE_REPLY,
            Self::Vote { .. } => VOTE,
            Self::VoteReply { .. } => VOTE_REPLY,
            Self::Append { .. } => APPEND,
            Self::AppendReply { .. } => APPEND_REPLY,
            Self::Part { .. } => PART,
            Self::PartReply { .. } => PART_REPLY,
            Self::Orphans { .. } => ORPHANS,
            Self::OrphanAck { .. } => ORPHAN_ACK,
            Self::Notice { .. } => NOTICE,
            Self::Elect => ELECT,
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::PreVote { last, fast, priority } => {
                put_lsns(out, [*last, *fast]);
                out.push(*priority);
            }
            Self::PreVoteReply { asked, verdict, last, fast } => {
                out.put_u64(*asked);
                out.push(u8::from(*verdict == Verdict::Granted));
                put_lsns(out, [*last, *fast]);
            }
            Self::Vote { last, fast, transfer } => {
                put_lsns(out, [*last, *fast]);
                out.push(u8::from(*transfer));
            }
            Self::VoteReply { verdict, last, fast } => {
                out.push(u8::from(*verdict == Verdict::Granted));
                put_lsns(out, [*last, *fast]);
            }
            Self::Append { prev, commit, round, fast, quiet, count, entries } => {
                out.put_lsn(*prev);
                out.put_u64(*commit);
                out.put_u64(*round);
                out.put_u64(*fast);
                out.push(u8::from(*quiet));
                out.put_u32(*count);
                out.put(entries);
            }
            Self::AppendReply { matched, round, keeps_orphans, mismatch } => {
                out.put_u64(*matched);
                out.put_u64(*round);
                out.push(u8::from(*keeps_orphans));
                match mismatch {
                    None => out.push(0),
                    Some(Mismatch::Prev { prev, hint }) => {
                        out.push(1);
                        out.put_u64(*prev);
                        out.put_lsn(*hint);
                    }
                    Some(Mismatch::Blank) => out.push(2),
                }
            }
            Self::Part { what, id, total, offset, bytes } => {
                out.push(put_what(*what));
                out.put_lsn(*id);
                out.put_u64(*total);
                out.put_u64(*offset);
                out.put(bytes);
            }
            Self::PartReply { what, id, have } => {
                out.push(put_what(*what));
                out.put_lsn(*id);
                out.put_u64(*have);
            }
            Self::Orphans { count, orphans } => {
                out.put_u32(*count);
                out.put(orphans);
            }
            Self::OrphanAck { dots } => {
                out.put_count(dots.len());
                dots.iter().for_each(|dot| dot.encode(out));
            }
            Self::Notice { partings, configuration, primary } => {
                put_partings(out, partings);
                out.put_u64(*configuration);
                out.push(u8::from(primary.is_some()));
                if let Some(primary) = primary {
                    out.put_actor(primary);
                }
            }
            Self::Elect => {}
        }
    }

    fn read(kind: u8, mut from: Reader<'a>) -> Option<Self> {
        let message = match kind {
            PRE_VOTE => Self::PreVote { last: from.lsn()?, fast: from.lsn()?, priority: from.u8()? },
            PRE_VOTE_REPLY => {
                let (asked, verdict) = (from.u64()?, read_verdict(&mut from)?);
                Self::PreVoteReply { asked, verdict, last: from.lsn()?, fast: from.lsn()? }
            }
            VOTE => Self::Vote { last: from.lsn()?, fast: from.lsn()?, transfer: read_flag(&mut from)? },
            VOTE_REPLY => Self::VoteReply { verdict: read_verdict(&mut from)?, last: from.lsn()?, fast: from.lsn()? },
            APPEND => {
                let prev = from.lsn()?;
                let (commit, round, fast) = (from.u64()?, from.u64()?, from.u64()?);
                let (quiet, count) = (read_flag(&mut from)?, from.u32()?);
                let entries = from.rest();
                if usize::try_from(count).ok()? > entries.len() / MIN_ENTRY {
                    return None;
                }
                Self::Append { prev, commit, round, fast, quiet, count, entries }
            }
            APPEND_REPLY => {
                let (matched, round) = (from.u64()?, from.u64()?);
                let keeps_orphans = read_flag(&mut from)?;
                let mismatch = match from.u8()? {
                    0 => None,
                    1 => Some(Mismatch::Prev { prev: from.u64()?, hint: from.lsn()? }),
                    2 => Some(Mismatch::Blank),
                    _ => return None,
                };
                Self::AppendReply { matched, round, keeps_orphans, mismatch }
            }
            PART => {
                let (what, id) = (read_what(&mut from)?, from.lsn()?);
                let (total, offset) = (from.u64()?, from.u64()?);
                let bytes = from.rest();
                let end = offset.checked_add(super::log::len(bytes.len()))?;
                if bytes.is_empty() || end > total {
                    return None;
                }
                Self::Part { what, id, total, offset, bytes }
            }
            PART_REPLY => Self::PartReply { what: read_what(&mut from)?, id: from.lsn()?, have: from.u64()? },
            ORPHANS => {
                let count = from.u32()?;
                Self::Orphans { count, orphans: from.rest() }
            }
            ORPHAN_ACK => {
                let count = from.u32().filter(|&count| usize::try_from(count).is_ok_and(|count| count <= MAX_ACKS))?;
                Self::OrphanAck { dots: (0..count).map(|_| Dot::decode(&mut from)).collect::<Option<_>>()? }
            }
            NOTICE => {
                let (partings, configuration) = (read_partings(&mut from)?, from.u64()?);
                let primary = if read_flag(&mut from)? { Some(from.actor()?) } else { None };
                Self::Notice { partings, configuration, primary }
            }
            ELECT => Self::Elect,
            _ => return None,
        };
        from.end()?;
        Some(message)
    }
}

/// Quorums of two modes need not meet, so frames and records name theirs.
pub(crate) fn put_mode(out: &mut Vec<u8>, mode: Mode) {
    out.put(&match mode {
        Mode::Fast => [0, 0],
        Mode::FastSafe => [1, 0],
        Mode::Flex { write } => [2, write],
        Mode::Majority => [3, 0],
    });
}

pub(crate) fn read_mode(from: &mut Reader<'_>) -> Option<Mode> {
    match (from.u8()?, from.u8()?) {
        (0, 0) => Some(Mode::Fast),
        (1, 0) => Some(Mode::FastSafe),
        (2, write) => Some(Mode::Flex { write }),
        (3, 0) => Some(Mode::Majority),
        _ => None,
    }
}

fn put_lsns(out: &mut Vec<u8>, lsns: [Lsn; 2]) {
    lsns.into_iter().for_each(|lsn| out.put_lsn(lsn));
}

const fn put_what(what: What) -> u8 {
    match what {
        What::Snapshot => 0,
        What::Entry => 1,
        What::Orphan => 2,
    }
}

fn read_what(from: &mut Reader<'_>) -> Option<What> {
    match from.u8()? {
        0 => Some(What::Snapshot),
        1 => Some(What::Entry),
        2 => Some(What::Orphan),
        _ => None,
    }
}

fn read_flag(from: &mut Reader<'_>) -> Option<bool> {
    match from.u8()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

fn read_verdict(from: &mut Reader<'_>) -> Option<Verdict> {
    Some(if read_flag(from)? { Verdict::Granted } else { Verdict::Refused })
}
