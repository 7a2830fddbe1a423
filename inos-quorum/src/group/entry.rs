//! What stands in a log. `docs/protocol.md` gives the layout.

use alloc::vec::Vec;

use super::membership::{Configuration, Generation};
use crate::{
    Actor, Dot, Id, Lsn, OpId,
    bytes::{Put, Reader},
};

pub(crate) const EPOCH_START: u8 = 0;
pub(crate) const WRITE: u8 = 1;
pub(crate) const ORPHAN: u8 = 2;
pub(crate) const CONFIGURATION: u8 = 3;
pub(crate) const RETIRE: u8 = 4;
pub(crate) const EXPIRE: u8 = 5;

/// Epoch, kind and length of the payload.
pub(crate) const ENTRY_HEADER: usize = 8 + 1 + 4;

/// An entry as it travels and is stored: the payload is not read yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw<'a> {
    pub(crate) epoch: u64,
    pub(crate) kind: u8,
    pub(crate) payload: &'a [u8],
    /// All of it, header included.
    pub(crate) bytes: &'a [u8],
}

impl<'a> Raw<'a> {
    pub(crate) fn read(from: &mut Reader<'a>) -> Option<Self> {
        let all = from.0;
        let (epoch, kind) = (from.u64()?, from.u8()?);
        let payload = from.long_bytes()?;
        Some(Self { epoch, kind, payload, bytes: &all[..ENTRY_HEADER + payload.len()] })
    }

    pub(crate) fn body<N: Id>(&self) -> Option<Body<'a, N>> {
        Body::read(self.kind, self.payload)
    }
}

/// A change and what is known of its past.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change<'a> {
    pub(crate) op: OpId,
    /// Its writer had read the history up to here.
    pub(crate) read: u64,
    /// A vector clock of what the writer had read besides, or nothing.
    pub(crate) extra: &'a [u8],
    pub(crate) delta: &'a [u8],
}

#[derive(Clone, Debug)]
pub(crate) enum Body<'a, N> {
    /// The first entry of an epoch: who wrote the epoch, and where the history before it ends. Older entries are
    /// committed only through it.
    EpochStart {
        author: Actor<N>,
        generation: Generation,
        previous: Lsn,
    },
    /// Its dot is (author of its epoch, counter).
    Write {
        counter: u64,
        change: Change<'a>,
    },
    /// A write that stood at `origin` in a history that was dropped.
    Orphan {
        dot: Dot<N>,
        origin: Lsn,
        change: Change<'a>,
    },
    Configuration(Configuration<N>),
    Retire(Actor<N>),
    Expire(u128),
}

impl<'a, N: Id> Body<'a, N> {
    pub(crate) fn read(kind: u8, payload: &'a [u8]) -> Option<Self> {
        let mut from = Reader(payload);
        let body = match kind {
            EPOCH_START => {
                let author = from.actor()?;
                let generation = Generation { number: from.u64()?, nonce: from.u64()? };
                Self::EpochStart { author, generation, previous: from.lsn()? }
            }
            WRITE => {
                let counter = from.u64().filter(|&counter| counter > 0)?;
                Self::Write { counter, change: Change::read(&mut from)? }
            }
            ORPHAN => {
                let dot = Dot::decode(&mut from).filter(|dot| dot.counter > 0)?;
                Self::Orphan { dot, origin: from.lsn()?, change: Change::read(&mut from)? }
            }
            CONFIGURATION => {
                Self::Configuration(Configuration::decode(&mut from).filter(|configuration| configuration.number > 0)?)
            }
            RETIRE => Self::Retire(from.actor()?),
            EXPIRE => Self::Expire(from.u128()?),
            _ => return None,
        };
        from.end()?;
        Some(body)
    }

    pub(crate) const fn kind(&self) -> u8 {
        match self {
            Self::EpochStart { .. } => EPOCH_START,
            Self::Write { .. } => WRITE,
            Self::Orphan { .. } => ORPHAN,
            Self::Configuration(_) => CONFIGURATION,
            Self::Retire(_) => RETIRE,
            Self::Expire(_) => EXPIRE,
        }
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::EpochStart { author, generation, previous } => {
                out.put_actor(author);
                out.put_u64(generation.number);
                out.put_u64(generation.nonce);
                out.put_lsn(*previous);
            }
            Self::Write { counter, change } => {
                out.put_u64(*counter);
                change.write(out);
            }
            Self::Orphan { dot, origin, change } => {
                dot.encode(out);
                out.put_lsn(*origin);
                change.write(out);
            }
            Self::Configuration(configuration) => configuration.encode(out),
            Self::Retire(actor) => out.put_actor(actor),
            Self::Expire(client) => out.put(&client.to_le_bytes()),
        }
    }

    /// The change of a write or an orphan.
    pub(crate) const fn change(&self) -> Option<&Change<'a>> {
        match self {
            Self::Write { change, .. } | Self::Orphan { change, .. } => Some(change),
            _ => None,
        }
    }
}

impl<'a> Change<'a> {
    /// Bytes besides the clock and the delta, at most, dot and origin included.
    pub(crate) const OVERHEAD: usize = (1 + 64 + 8 + 8) + 16 + (16 + 8 + 8 + 4);

    fn read(from: &mut Reader<'a>) -> Option<Self> {
        let op = OpId { client: from.u128()?, serial: from.u64()? };
        let read = from.u64()?;
        Some(Self { op, read, extra: from.long_bytes()?, delta: from.rest() })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.put(&self.op.client.to_le_bytes());
        out.put_u64(self.op.serial);
        out.put_u64(self.read);
        out.put_count(self.extra.len());
        out.put(self.extra);
        out.put(self.delta);
    }
}

/// Appends a whole entry; `payload` writes what follows the header.
pub(crate) fn put_entry(out: &mut Vec<u8>, epoch: u64, kind: u8, payload: impl FnOnce(&mut Vec<u8>)) {
    out.put_u64(epoch);
    out.push(kind);
    let len_at = out.len();
    out.put_u32(0);
    payload(out);
    let len = u32::try_from(out.len() - len_at - 4).expect("no entry exceeds max_reassembly, which is at most 1 GiB");
    out[len_at..len_at + 4].copy_from_slice(&len.to_le_bytes());
}
